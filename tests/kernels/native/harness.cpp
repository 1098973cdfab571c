// C entry point to the kernels without Python, for builds that the tests make of their sources.
#include <algorithm>

#include "circuit.h"
#include "schedule.h"

extern "C" int parity_first_step(uint64_t key, const int64_t* streams, const int8_t* weights, const int64_t* q,
                                 const int64_t* support, const int8_t* tables, const int64_t* records, int64_t start,
                                 uint64_t probability, const int8_t* alternative, int64_t threads, const int64_t* sizes,
                                 int64_t* sums, int64_t* active) {
  parity::Job job;
  const int64_t patterns = int64_t{1} << sizes[3];
  job.key = key;
  job.streams = sizes[0], job.neurons = sizes[1], job.n = sizes[2], job.classes = sizes[4], job.record_count = sizes[5];
  job.stream_numbers = streams, job.weights = weights, job.q = q, job.support = support, job.records = records;
  job.start = start;
  job.mixed = probability != 0;
  job.probability = probability;
  job.sums = sums, job.active = active;
  for (int64_t c = 0; c < job.classes; ++c) {
    job.main.push_back(parity::build_labels(tables + c * patterns, patterns));
    if (job.mixed) job.other.push_back(parity::build_labels(alternative + c * patterns, patterns));
  }
  return parity::run_job(job, parity::levels().back(), threads, [] { return false; }) ? 0 : 1;
}
