#include "hinge.h"

namespace baseline { void hinge(const parity::Hinge&, const parity::Member&); }
#ifdef PARITY_X86
namespace avx2 { void hinge(const parity::Hinge&, const parity::Member&); }
namespace avx512 { void hinge(const parity::Hinge&, const parity::Member&); }
#endif

namespace parity {

HingeRun hinge_level(const std::string& name) {
#ifdef PARITY_X86
  if (name == "avx512") return avx512::hinge;
  if (name == "avx2") return avx2::hinge;
#endif
  return baseline::hinge;
}

}  // namespace parity
