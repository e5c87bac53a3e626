// Solver of the memory equation for CUDA devices, which also compiles as plain C++ for the host.
//
// The algorithm is that of cpu.py, statement by statement. A thread takes one candidate. M, the solution and the
// workspace lie as [time][candidate], so that neighbouring threads read neighbouring words; the workspace holds the
// points and intervals of a block: 6 arrays of block + 1, of which the last half serve the newest points.
//
// source.py puts the constants before this text as macros MEMORY_….

#ifdef __CUDACC__
#define MEMORY_KERNEL extern "C" __global__ void __launch_bounds__(MEMORY_BLOCK)
#define MEMORY_ITEMS(item, count) \
    for (integer item = (integer)blockIdx.x * blockDim.x + threadIdx.x; item < (count); \
         item += (integer)gridDim.x * blockDim.x)
typedef long long integer;
#else
#include <cmath>
#include <cstdint>
using std::exp;
using std::log;
#define MEMORY_KERNEL extern "C" void
#define MEMORY_ITEMS(item, count) for (integer item = 0; item < (count); ++item)
typedef std::int64_t integer;
#endif

// M = c + Σ v exp[-(t/τ)^b] at each time: M [time][candidate]; v, tau, b [candidate][term]; t[0] may be 0
MEMORY_KERNEL memory_stretched(integer times, integer batch, integer terms, const double *t, const double *c,
                               const double *v, const double *tau, const double *b, double *M) {
    MEMORY_ITEMS(item, times * batch) {
        const integer candidate = item % batch;
        const double time = t[item / batch];
        double sum = c[candidate];
        for (integer i = 0; i < terms; ++i) {
            const integer at = candidate * terms + i;
            sum += v[at] * (time > 0.0 ? exp(-exp(b[at] * (log(time) - log(tau[at])))) : 1.0);
        }
        M[item] = sum;
    }
}

// X = 1 - F/F(0) for given M, both [time][candidate]; work: 6 (block + 1) batch numbers
MEMORY_KERNEL memory_integrate(integer times, integer batch, integer block, double step, double alpha, double beta,
                               double omega2, const double *M, double *work, double *out) {
    MEMORY_ITEMS(candidate, batch) {
        const integer half = block / 2, size = (block + 1) * batch;
        double *x = work + candidate, *m = x + size, *dx = m + size, *dm = dx + size, *step_x = dm + size,
               *step_m = step_x + size;
#define AT(i) ((i) * batch)
        double h = step;
        const double stiffness = omega2 + M[candidate];
        for (integer i = 0; i <= half; ++i) {
            const double t = i * h;
            double start = omega2 * t * (1.0 - 0.5 * stiffness * t);
            if (alpha > 0.0) start = 0.5 * omega2 * t * t * (1.0 - stiffness * t * t / 12.0);
            x[AT(i)] = start;
            m[AT(i)] = M[AT(i) + candidate];
            out[AT(i) + candidate] = start;
            if (i > 0) {
                dx[AT(i)] = 0.5 * (x[AT(i)] + x[AT(i - 1)]);
                dm[AT(i)] = 0.5 * (m[AT(i)] + m[AT(i - 1)]);
                step_x[AT(i)] = x[AT(i)] - x[AT(i - 1)];
                step_m[AT(i)] = m[AT(i)] - m[AT(i - 1)];
            }
        }
        integer done = 0;
        while (true) {
            const double a = alpha / (h * h), b = beta / h;
            const double factor = 1.0 / (2.0 * a + 1.5 * b + omega2 + dm[AT(1)]);
            for (integer i = half + 1; i <= block; ++i) {
                const integer middle = i / 2;
                const double now = M[AT(done + i) + candidate];
                double past = m[AT(i - middle)] * x[AT(middle)] - m[AT(i - 1)] * dx[AT(1)] - dm[AT(1)] * x[AT(i - 1)];
                for (integer l = 2; l <= middle; ++l)
                    past += step_m[AT(i - l + 1)] * dx[AT(l)] + dm[AT(l)] * step_x[AT(i - l + 1)];
                if (i - middle > middle) past += dm[AT(i - middle)] * step_x[AT(middle + 1)];
                const double x1 = x[AT(i - 1)], x2 = x[AT(i - 2)], x3 = x[AT(i - 3)];
                const double known = omega2 - past - now * dx[AT(1)] + b * (2.0 * x1 - 0.5 * x2)
                                     + a * (5.0 * x1 - 4.0 * x2 + x3);
                const double next = known * factor;
                m[AT(i)] = now;
                x[AT(i)] = next;
                dx[AT(i)] = 0.5 * (next + x1);
                dm[AT(i)] = 0.5 * (now + m[AT(i - 1)]);
                step_x[AT(i)] = next - x1;
                step_m[AT(i)] = now - m[AT(i - 1)];
                out[AT(done + i) + candidate] = next;
            }
            done += half;
            if (done + half + 1 >= times) break;
            for (integer j = 1; j <= half; ++j) {
                x[AT(j)] = x[AT(2 * j)];
                m[AT(j)] = m[AT(2 * j)];
                dx[AT(j)] = 0.5 * (dx[AT(2 * j - 1)] + dx[AT(2 * j)]);
                dm[AT(j)] = 0.5 * (dm[AT(2 * j - 1)] + dm[AT(2 * j)]);
                step_x[AT(j)] = step_x[AT(2 * j - 1)] + step_x[AT(2 * j)];
                step_m[AT(j)] = step_m[AT(2 * j - 1)] + step_m[AT(2 * j)];
            }
            h *= 2.0;
        }
#undef AT
    }
}
