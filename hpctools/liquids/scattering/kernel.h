// Kernels of the scattering functions for CUDA devices, which also compile as plain C++ for the host.
//
// The sums are those of cpu.py. The work is cut into items that need nothing of each other: a set of wave vectors
// or a wave number, and a chunk of particles of one species. Threads beside each other have neighbouring sets and
// the same chunk, so that they read the powers of the same particle at the same time. The chunks' sums are added up
// in order afterwards, so that the result does not depend on how the device schedules its threads.
//
// source.py puts the constants before this text as macros LIQUID_….

#ifdef __CUDACC__
#define LIQUID_FUNCTION __device__ __forceinline__
#define LIQUID_KERNEL extern "C" __global__ void __launch_bounds__(LIQUID_BLOCK)
#define LIQUID_ITEMS(item, count) \
    for (integer item = (integer)blockIdx.x * blockDim.x + threadIdx.x; item < (count); \
         item += (integer)gridDim.x * blockDim.x)
typedef long long integer;
#else
#include <cmath>
#include <cstdint>
using std::cos;
using std::rint;
using std::sin;
using std::sqrt;
#define LIQUID_FUNCTION static inline
#define LIQUID_KERNEL extern "C" void
#define LIQUID_ITEMS(item, count) for (integer item = 0; item < (count); ++item)
typedef std::int64_t integer;
#endif

struct alignas(16) Wave { // read at once
    double c, s; // cosine and sine
};

LIQUID_FUNCTION Wave times(Wave a, Wave b) { return {a.c * b.c - a.s * b.s, a.s * b.c + a.c * b.s}; }

// exp(2πi m x/L) for m = 0 … n_max of each axis and particle: waves [axis][particle][m]
LIQUID_KERNEL liquid_powers(integer particles, int n_max, const double *fractional, Wave *waves) {
    LIQUID_ITEMS(item, 3 * particles) {
        const integer axis = item / particles, particle = item % particles;
        const double x = fractional[3 * particle + axis];
        const double angle = LIQUID_TWO_PI * (x - rint(x));
        const Wave first = {cos(angle), sin(angle)};
        Wave power = {1.0, 0.0};
        Wave *row = waves + (axis * particles + particle) * (n_max + 1);
        for (int m = 0; m <= n_max; ++m) {
            row[m] = power;
            power = times(power, first);
        }
    }
}

// densities of the four vectors of each set, by chunk of particles: out [chunk][set][sign][cosine, sine]
LIQUID_KERNEL liquid_densities(integer particles, int n_max, integer sets, integer chunks, const int *n,
                               const int *chunk_start, const Wave *waves, double *out) {
    LIQUID_ITEMS(item, sets * chunks) {
        const integer chunk = item / sets, set = item % sets;
        const integer row = n_max + 1;
        const Wave *x = waves + n[3 * set];
        const Wave *y = waves + particles * row + n[3 * set + 1];
        const Wave *z = waves + 2 * particles * row + n[3 * set + 2];
        double pc = 0, ps = 0, qc = 0, qs = 0, uc = 0, us = 0, vc = 0, vs = 0;
        for (integer i = chunk_start[chunk]; i < chunk_start[chunk + 1]; ++i) {
            const Wave ex = x[i * row], ey = y[i * row], ez = z[i * row];
            const double cc = ex.c * ey.c, ss = ex.s * ey.s, sc = ex.s * ey.c, cs = ex.c * ey.s;
            const double p = cc - ss, q = sc + cs, u = cc + ss, v = sc - cs; // of x + y and of x - y
            pc += p * ez.c;
            ps += p * ez.s;
            qc += q * ez.c;
            qs += q * ez.s;
            uc += u * ez.c;
            us += u * ez.s;
            vc += v * ez.c;
            vs += v * ez.s;
        }
        double *sums = out + 8 * item;
        sums[0] = pc - qs;
        sums[1] = qc + ps;
        sums[2] = pc + qs;
        sums[3] = qc - ps;
        sums[4] = uc - vs;
        sums[5] = vc + us;
        sums[6] = uc + vs;
        sums[7] = vc - us;
    }
}

// Σ sin(kr)/(kr) for each k, then Σ r² and Σ r⁴, by chunk of particles: out [chunk][column]
LIQUID_KERNEL liquid_self_parts(integer columns, integer chunks, const double *k, const int *chunk_start,
                                const double *displacement, double *out) {
    LIQUID_ITEMS(item, columns * chunks) {
        const integer chunk = item / columns, column = item % columns, wave_numbers = columns - 2;
        double sum = 0;
        for (integer i = chunk_start[chunk]; i < chunk_start[chunk + 1]; ++i) {
            const double *d = displacement + 3 * i;
            const double square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
            if (column < wave_numbers) {
                const double x = k[column] * sqrt(square);
                sum += x < LIQUID_SMALL ? 1.0 - x * x / 6.0 : sin(x) / x;
            } else {
                sum += column == wave_numbers ? square : square * square;
            }
        }
        out[item] = sum;
    }
}
