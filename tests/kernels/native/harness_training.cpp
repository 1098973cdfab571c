// C entry points to training without Python, for builds that the tests make of their sources: float64, level baseline.
#include "hinge.h"
#include "training.h"

extern "C" int parity_sgd(uint64_t key, uint64_t stream, const int64_t* sizes, double* W, double* b, double* a, double* c,
                          const double* targets, const int64_t* target_of, const double* rates, const double* factors,
                          double hidden_rate, double output_rate, int64_t loss, int64_t threads, double* logits) {
  const auto [start, steps, batch, students, width, n, rate_rows, factor_rows, block] =
      *reinterpret_cast<const int64_t(*)[9]>(sizes);
  const parity::Training<double> job{key, stream, start, steps, batch, students, width, n, W, b, a, c, targets,
                                     target_of, rates, rate_rows, factor_rows == 0 ? nullptr : factors, factor_rows,
                                     hidden_rate, output_rate, parity::Loss(loss),
                                     block == 0 ? parity::kDefaultRows : block, logits};
  const parity::TrainingLevel& level = parity::training_level("baseline");
  return parity::run_team(threads, [&](const parity::Member& me) { level.train64(job, me); }, [] { return false; }) ? 0 : 1;
}

extern "C" int parity_logits(uint64_t key, uint64_t stream, const int64_t* sizes, const double* W, const double* b,
                             const double* a, const double* c, int64_t threads, double* out) {
  const auto [start, stop, students, width, n] = *reinterpret_cast<const int64_t(*)[5]>(sizes);
  const parity::Forward<double> job{key, stream, start, stop, students, width, n, W, b, a, c, out};
  const parity::TrainingLevel& level = parity::training_level("baseline");
  return parity::run_team(threads, [&](const parity::Member& me) { level.forward64(job, me); }, [] { return false; }) ? 0 : 1;
}

extern "C" int parity_hinge_sgd(const int64_t* sizes, const double* features, const int8_t* labels,
                                const double* step_size, double* weights, double* total, double* loss, int64_t* updates,
                                int64_t threads) {
  const auto [replicates, steps, width] = *reinterpret_cast<const int64_t(*)[3]>(sizes);
  const parity::Hinge job{replicates, steps, width, features, labels, step_size, weights, total, loss, updates};
  const parity::HingeRun run = parity::hinge_level("baseline");
  return parity::run_team(threads, [&](const parity::Member& me) { run(job, me); }, [] { return false; }) ? 0 : 1;
}
