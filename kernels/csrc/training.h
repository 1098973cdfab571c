// What a training segment and a forward pass are: plain data, shared by the bindings and all levels.
#pragma once

#include <cstdint>
#include <string>

#include "team.h"

namespace parity {

enum class Loss { logistic, hinge, correlation, squared };

// Students are the rows of W, b, a, c, which are updated in place; see kernels/training.py for the step.
template <class F>
struct Training {
  uint64_t key, stream;
  int64_t start, steps, batch;
  int64_t students, width, n;
  F *W, *b, *a, *c;  // [students][width][n], [students][width], [students][width], [students]
  const F* targets;  // [rows][steps * batch]
  const int64_t* target_of;
  const F* rates;  // [rate_rows][steps]
  int64_t rate_rows;
  const F* factors;  // 1 - rate * decay, [factor_rows][steps], or null
  int64_t factor_rows;
  F hidden_rate, output_rate;
  Loss loss;
  int64_t block;  // samples handled at once, at most kMaxRows
  F* logits;      // [students][steps * batch]
};

template <class F>
struct Forward {
  uint64_t key, stream;
  int64_t start, stop;
  int64_t students, width, n;
  const F *W, *b, *a, *c;
  F* out;  // [students][stop - start]
};

constexpr int64_t kMaxRows = 128;
constexpr int64_t kDefaultRows = 48;

// Each function is run by all members of a team; it looks at the team's stop flag between tiles of samples.
struct TrainingLevel {
  const char* name;
  void (*train32)(const Training<float>&, const Member&);
  void (*train64)(const Training<double>&, const Member&);
  void (*forward32)(const Forward<float>&, const Member&);
  void (*forward64)(const Forward<double>&, const Member&);
  void (*labels)(uint64_t key, uint64_t stream, int64_t start, int64_t stop, int64_t n, const int64_t* support,
                 int64_t k, int8_t* out);
};

const TrainingLevel& training_level(const std::string& name);

}  // namespace parity
