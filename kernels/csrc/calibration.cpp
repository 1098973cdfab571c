#include "calibration.h"

namespace baseline { const parity::Calibration& calibration(); }
#ifdef PARITY_X86
namespace avx2 { const parity::Calibration& calibration(); }
namespace avx512 { const parity::Calibration& calibration(); }
#endif

namespace parity {

const Calibration& calibration(const std::string& level) {
#ifdef PARITY_X86
  if (level == "avx512") return avx512::calibration();
  if (level == "avx2") return avx2::calibration();
#endif
  return baseline::calibration();
}

}  // namespace parity
