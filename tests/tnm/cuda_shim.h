// What kernel.h asks of CUDA, for a host compiler that runs the threads of a grid one after the other: the lanes of a
// warp in order, so that what lane 0 has fetched from the counter is there for the others.
#include <cmath>
#include <vector>

using std::abs;
using std::ceil;
using std::exp;
using std::log;
using std::rint;

#define __CUDACC__
#define __device__
#define __global__
#define __forceinline__ inline
#define __constant__ static const
#define __launch_bounds__(...)

struct Index {
    unsigned x;
};
struct double2 {
    double x, y;
};

extern "C" {
Index gridDim, blockDim, blockIdx, threadIdx;
unsigned position; // fetches of this lane so far
}
static std::vector<unsigned long long> fetched; // by lane 0 of this warp

template <typename T> static inline T __ldg(const T *pointer) { return *pointer; }
static inline void __syncwarp() {}
static inline unsigned long long atomicAdd(unsigned long long *counter, unsigned long long n) {
    const unsigned long long before = *counter;
    *counter += n;
    return before;
}
static inline unsigned long long __shfl_sync(unsigned, unsigned long long value, int) {
    if (threadIdx.x % 32 == 0) {
        if (position == 0) fetched.clear();
        fetched.push_back(value);
    }
    return fetched[position++];
}
static inline double __hiloint2double(int high, int) { return std::ldexp(1.0, (high >> 20) - 1023); }
