// Kernel of the TNM simulator for CUDA devices, which also compiles as plain C++ for the host.
//
// The algorithm is that of cpu.py, statement by statement; its docstrings explain it. What differs is where numbers
// lie. A thread takes one heating scan of one sample at a time. Its modes p are in a workspace [mode][thread], so
// that neighbouring threads read neighbouring words; a warp works on scans of one β and nearly one x, whose steps
// have nearly the same sizes, so that it reads the same rows of the tables. A thread writes only the grid points
// that its steps cross; the flat parts, 0 below and 1 above, are filled by rows in a kernel of their own.
//
// source.py puts the constants of cpu.py before this text as macros TNM_….

#ifdef __CUDACC__

#define TNM_FUNCTION __device__ __forceinline__
#define TNM_CONSTANT __constant__
#define TNM_TABLES const double2 *__restrict__ records
#define TNM_TABLE_NAMES records
#define TNM_PLACE(i) ((i) * stride)
typedef long long integer;

#else

#include <cmath>
#include <cstdint>
#include <cstring>

using std::abs;
using std::ceil;
using std::exp;
using std::log;
using std::rint;

#define TNM_FUNCTION static inline
#define TNM_CONSTANT static const
#define TNM_TABLES const double *rates, const double *weights, const double *e, const double *g
#define TNM_TABLE_NAMES rates, weights, e, g
#define TNM_PLACE(i) (i)
typedef std::int64_t integer;

#endif

// the work done, counted in a host build for the benchmark
enum Counted { STEPS, NEWTON_PASSES, MODE_UPDATES, STENCILS, POINTS, N_COUNTED };
#ifdef TNM_COUNT
extern "C" {
integer tnm_counted[N_COUNTED];
}
#define TNM_COUNTED(what, n) tnm_counted[what] += (n)
#else
#define TNM_COUNTED(what, n)
#endif

TNM_CONSTANT double BASIS[8 * 5 * 5] = {TNM_BASIS};
TNM_CONSTANT double FULL[5] = {TNM_FULL};
TNM_CONSTANT double HALF[5] = {TNM_HALF};

TNM_FUNCTION double larger(double a, double b) { return b > a ? b : a; }
TNM_FUNCTION double smaller(double a, double b) { return b < a ? b : a; }
TNM_FUNCTION int larger(int a, int b) { return b > a ? b : a; }
TNM_FUNCTION int smaller(int a, int b) { return b < a ? b : a; }

// 2**n, a normal number
TNM_FUNCTION double power_of_two(int n) {
#ifdef __CUDACC__
    return __hiloint2double((n + 1023) << 20, 0);
#else
    const std::uint64_t bits = static_cast<std::uint64_t>(n + 1023) << 52;
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

// exp(-z) and the moments of a mode for one step size
struct Moments {
    double e, g0, g1, g2, g3, g4;
};

TNM_FUNCTION double forced(const Moments &k, double a0, double a1, double a2, double a3, double a4) {
    return k.g0 * a0 + k.g1 * a1 + k.g2 * a2 + k.g3 * a3 + k.g4 * a4;
}

// The step tables of one β, see spectrum.ModeTables. On the device they are records [row][mode] of eight numbers,
// e, g_0 … g_4, weight, rate, which are read sixteen bytes at a time; on the host the arrays of spectrum.py.
struct Tables {
    int modes, rows, first_level;
#ifdef __CUDACC__
    const double2 *__restrict__ records;
#else
    const double *rates, *weights, *e, *g;
#endif
    const double *__restrict__ sums;
    const int *__restrict__ limits;
};

TNM_FUNCTION double decay(const Tables &k, int row, int m) {
#ifdef __CUDACC__
    return __ldg(&k.records[4 * (row * k.modes + m)].x);
#else
    return k.e[row * k.modes + m];
#endif
}

TNM_FUNCTION double weight(const Tables &k, int row, int m) {
#ifdef __CUDACC__
    return __ldg(&k.records[4 * (row * k.modes + m) + 3].x);
#else
    (void)row;
    return k.weights[m];
#endif
}

TNM_FUNCTION double rate_constant(const Tables &k, int row, int m) {
#ifdef __CUDACC__
    return __ldg(&k.records[4 * (row * k.modes + m) + 3].y);
#else
    (void)row;
    return k.rates[m];
#endif
}

TNM_FUNCTION Moments moments(const Tables &k, int row, int m) {
#ifdef __CUDACC__
    const double2 *record = k.records + 4 * (row * k.modes + m);
    const double2 a = __ldg(record), b = __ldg(record + 1), c = __ldg(record + 2);
    return {a.x, a.y, b.x, b.y, c.x, c.y};
#else
    const double *g = k.g + 5 * row * k.modes + m;
    return {k.e[row * k.modes + m], g[0], g[k.modes], g[2 * k.modes], g[3 * k.modes], g[4 * k.modes]};
#endif
}

// The last nodes (T, CpN) of a heating scan, newest last, and the grid that they are written to
template <typename Real> struct Curve {
    double t[TNM_STENCIL], c[TNM_STENCIL];
    int nodes, first, at, points; // first, at: first point written, next point to write
    double grid_low, step;        // K
    Real *out;
    double highest, peak, peak_t; // of the nodes; of the curve, and where
};

template <typename Real> TNM_FUNCTION void add_node(Curve<Real> &curve, double t, double c) {
#pragma unroll
    for (int i = 0; i < TNM_STENCIL - 1; i++) {
        curve.t[i] = curve.t[i + 1];
        curve.c[i] = curve.c[i + 1];
    }
    curve.t[TNM_STENCIL - 1] = t;
    curve.c[TNM_STENCIL - 1] = c;
    curve.nodes++;
}

// Follow the highest CpN: the top between nodes is the vertex of the parabola through three of them
template <typename Real> TNM_FUNCTION void find_peak(Curve<Real> &curve) {
    const double *t = curve.t + TNM_STENCIL - 3;
    const double *c = curve.c + TNM_STENCIL - 3;
    if (c[2] > curve.highest) {
        curve.highest = c[2];
        curve.peak = c[2];
        curve.peak_t = t[2];
    } else if (curve.nodes >= 3 && c[1] == curve.highest) {
        const double rise = (c[1] - c[0]) / (t[1] - t[0]);
        const double fall = (c[2] - c[1]) / (t[2] - t[1]);
        const double bend = (fall - rise) / (t[2] - t[0]);
        if (bend < 0.0) {
            curve.peak_t = 0.5 * (t[0] + t[1]) - 0.5 * rise / bend;
            curve.peak = c[0] + (curve.peak_t - t[0]) * (rise + bend * (curve.peak_t - t[1]));
        }
    }
}

// Write the grid points up to `end` by the polynomial through the six nodes
template <typename Real> TNM_FUNCTION void emit(Curve<Real> &curve, double end) {
    int at = curve.at;
    double t = curve.grid_low + curve.step * at;
    if (at >= curve.points || t > end) return;
    TNM_COUNTED(STENCILS, 1);
    double d[TNM_STENCIL];
#pragma unroll
    for (int i = 0; i < TNM_STENCIL; i++) d[i] = curve.c[i];
#pragma unroll
    for (int order = 1; order < TNM_STENCIL; order++) {
#pragma unroll
        for (int i = TNM_STENCIL - 1; i >= order; i--)
            d[i] = (d[i] - d[i - 1]) / (curve.t[i] - curve.t[i - order]);
    }
    do {
        double value = d[TNM_STENCIL - 1];
#pragma unroll
        for (int i = TNM_STENCIL - 2; i >= 0; i--) value = d[i] + (t - curve.t[i]) * value;
        curve.out[at] = static_cast<Real>(value);
        TNM_COUNTED(POINTS, 1);
        at++;
        t = curve.grid_low + curve.step * at;
    } while (at < curve.points && t <= end);
    curve.at = at;
}

// One cycle of one sample, cpu._scan: parameters (4,); rate, end, duration (segments,) of the cycle; high: temperature
// of the start, K; width: w₀, K; summary (6,). The points of curve.out below curve.first and from curve.at on are
// flat and left to the caller.
template <typename Real>
TNM_FUNCTION void scan(
    const double *__restrict__ sample, const double *__restrict__ rate, const double *__restrict__ end,
    const double *__restrict__ duration, int segments, double high, double width, double change_cooling,
    double change_heating, double glass, const Tables &table, double *__restrict__ p, integer stride,
    Curve<Real> &curve, double *__restrict__ summary
) {
    (void)stride; // 1 on the host
    const double ln_a = sample[0];
    const double theta = sample[1] / TNM_GAS_CONSTANT;
    // steps as fine as bursts need are finer than dull scans need
    const double ease = larger(
        TNM_EASE_LEAST, smaller(TNM_EASE, TNM_EASE - TNM_EASE_SLOPE * (sample[3] / sample[2] - TNM_EASE_SHARPNESS))
    );
    const double cooling = change_cooling * ease;
    const double reheating = change_heating * ease;
    const double ax = sample[2] * theta;
    const double bx = (1.0 - sample[2]) * theta;
    const int n_modes = table.modes;
    const int rows = table.rows;
    const int first_level = table.first_level;
    const int last_segment = segments - 1;
    const double ln2 = log(2.0);
    for (int m = 0; m < n_modes; m++) p[TNM_PLACE(m)] = 0.0;

    double t = high;
    double q = rate[0];
    double sum_p = 0.0;    // Σ w p = T - Tf
    double sum_kp = 0.0;   // Σ w k p
    double frozen_p = 0.0; // Σ w p of the frozen modes, whose p stores p - T
    int lo = 0;
    int hi = n_modes;
    int row = rows - 1;
    double status = TNM_STATUS_OK;

    curve.nodes = 0;
    curve.first = 0;
    curve.at = 0;
    curve.highest = -1e300;
    curve.peak = -1e300;
    curve.peak_t = 0.0;
    double tf_limit = t;

    for (int segment = 0; segment <= last_segment; segment++) {
        q = rate[segment];
        const bool heating = segment == last_segment;
        // only the last cooling, with nothing but frozen glass behind it, may stop early
        const bool land = !heating && !(segment == last_segment - 1 && q < 0.0);
        const double base = heating ? reheating : cooling;
        double target = base;
        double cpn0 = 0.5; // not flat before it is known
        double elapsed = 0.0;
        if (q < 0.0) {
            // liquid is cooled at once to where its slowest mode begins to lag
            const double ln_tau_lag = log(cooling * width * rate_constant(table, 0, 0) / (144.0 * -q));
            if (ln_tau_lag > ln_a && theta / (ln_tau_lag - ln_a) < t) {
                t = larger(end[segment], theta / (ln_tau_lag - ln_a));
                for (int m = 0; m < n_modes; m++) p[TNM_PLACE(m)] = 0.0;
                sum_p = 0.0;
                frozen_p = 0.0;
                lo = 0;
                hi = n_modes;
            }
        }
        double inv_t = 1.0 / t;
        double inv_tf = 1.0 / (t - sum_p);
        double log0 = ln_a + ax * inv_t + bx * inv_tf;
        if (heating && segment > 0 && rate[segment - 1] == 0.0) {
            // cooling landed on the hold with ever shorter steps, over which slow modes counted as frozen
            sum_kp = 0.0;
            for (int m = 0; m < n_modes; m++) {
                const double now = m < lo ? p[TNM_PLACE(m)] + t : p[TNM_PLACE(m)];
                sum_kp += weight(table, row, m) * rate_constant(table, row, m) * now;
            }
        }
        if (heating) {
            tf_limit = t - sum_p;
            // glass frozen at the shortest step of the tables is heated at once to where its fastest mode moves
            const double log_step = log(target / q) - (first_level + 1) * ln2;
            if (log0 > log_step - log(ax * inv_t * inv_t)) {
                for (int m = lo; m < n_modes; m++) {
                    frozen_p += weight(table, row, m) * p[TNM_PLACE(m)];
                    p[TNM_PLACE(m)] -= t;
                }
                lo = n_modes;
                hi = n_modes;
                double t_move = t;
                for (int pass = 0; pass < 8; pass++) {
                    const double log_move = log_step - log(ax / (t_move * t_move));
                    t_move = smaller(end[segment], larger(t, ax / (log_move - ln_a - bx * inv_tf)));
                }
                sum_p += t_move - t;
                frozen_p = sum_p;
                t = t_move;
                inv_t = 1.0 / t;
                inv_tf = 1.0 / (t - sum_p);
                log0 = ln_a + ax * inv_t + bx * inv_tf;
            }
        }
        // the shortest step of the tables, in which nothing moves, is longer than the hold
        if (q == 0.0 && log0 + (first_level + 1) * ln2 > log(duration[segment])) continue;
        double tau0 = exp(log0);
        if (q != 0.0) {
            // the change of ln τ with T sets the first step
            double per_kelvin = ax * inv_t * inv_t;
            if (segment == 0) per_kelvin = theta * inv_t * inv_t;
            row = static_cast<int>(rint((log(target / (per_kelvin * abs(q))) - log0) / ln2)) - first_level;
        }
        row = larger(1, smaller(row, rows - 1));
        if (heating) {
            add_node(curve, t, sum_kp / (q * tau0));
            // the points below t
            const double below = ceil((t - curve.grid_low) / curve.step);
            int at = below > 0.0 ? (below < curve.points ? static_cast<int>(below) : curve.points) : 0;
            while (at > 0 && curve.grid_low + curve.step * (at - 1) >= t) at--;
            while (at < curve.points && curve.grid_low + curve.step * at < t) at++;
            curve.first = at;
            curve.at = at;
        }

        bool has_past = false;
        int past_row = row;
        double past_dxi = 0.0, past_log0 = 0.0, past_log_mid = 0.0, tau_m2 = 0.0, tau_m1 = 0.0;
        double a0 = 0.0, a1 = 0.0, a2 = 0.0, a3 = 0.0, a4 = 0.0;
        int rejections = 0;
        for (int taken = 0;; taken++) {
            if (taken == TNM_MOST_STEPS) {
                status = TNM_STATUS_STEP;
                break;
            }
            // a ramp of no length, or frozen glass up to the end
            if (!has_past && q != 0.0 && (t - end[segment]) * q >= 0.0) break;
            const int new_lo = table.limits[2 * row];
            const int new_hi = table.limits[2 * row + 1];
            if (new_lo < lo) {
                for (int m = new_lo; m < lo; m++) {
                    const double moving = p[TNM_PLACE(m)] + t;
                    p[TNM_PLACE(m)] = moving;
                    frozen_p -= weight(table, row, m) * moving;
                }
            } else {
                for (int m = lo; m < new_lo; m++) {
                    const double moving = p[TNM_PLACE(m)];
                    frozen_p += weight(table, row, m) * moving;
                    p[TNM_PLACE(m)] = moving - t;
                }
            }
            lo = new_lo;
            if (has_past) {
                // modes that leave equilibrium: their p at the end of the last step
                for (int m = larger(hi, lo); m < new_hi; m++)
                    p[TNM_PLACE(m)] = past_dxi * forced(moments(table, past_row, m), a0, a1, a2, a3, a4);
            }
            hi = new_hi;
            if (q < 0.0 && (lo == n_modes || (!land && log0 > glass))) {
                if (land) { // nothing moves any more
                    sum_p += end[segment] - t;
                    frozen_p += end[segment] - t;
                    t = end[segment];
                }
                break;
            }

            const double dxi = power_of_two(first_level + row);
            double decayed = frozen_p;
            double decayed_half = frozen_p;
            for (int m = lo; m < hi; m++) {
                const double wp = weight(table, row, m) * p[TNM_PLACE(m)];
                decayed += wp * decay(table, row, m);
                decayed_half += wp * decay(table, row - 1, m);
            }

            // T and Σ w p at ½ and 1, as linear functions of τ(½) and τ(1)
            const double *__restrict__ s = table.sums + row * TNM_SUMS;
            int kind = past_row - row + 3;
            if (!has_past || kind < 0 || kind > 6) kind = 7;
            const double *b = BASIS + 25 * kind;
            double t_half0 = 0.0, t_half1 = 0.0, t_half2 = 0.0, t_full0 = 0.0, t_full1 = 0.0, t_full2 = 0.0;
            double p_half0 = 0.0, p_half1 = 0.0, p_half2 = 0.0, p_full0 = 0.0, p_full1 = 0.0, p_full2 = 0.0;
#pragma unroll
            for (int j = 0; j < 5; j++) {
                const double known = b[j] * tau_m2 + b[5 + j] * tau_m1 + b[10 + j] * tau0;
                t_half0 += known * HALF[j];
                t_half1 += b[15 + j] * HALF[j];
                t_half2 += b[20 + j] * HALF[j];
                t_full0 += known * FULL[j];
                t_full1 += b[15 + j] * FULL[j];
                t_full2 += b[20 + j] * FULL[j];
                p_half0 += known * s[5 + j];
                p_half1 += b[15 + j] * s[5 + j];
                p_half2 += b[20 + j] * s[5 + j];
                p_full0 += known * s[j];
                p_full1 += b[15 + j] * s[j];
                p_full2 += b[20 + j] * s[j];
            }

            double log_mid = log0;
            double log1 = log0;
            if (has_past) {
                // cubic through the last three ln τ with its slope now
                const double slope = -(ax * inv_t * inv_t * q * tau0 + bx * inv_tf * inv_tf * sum_kp) * past_dxi;
                const double d1 = past_log0 - log0 + slope;
                const double d2 = 4.0 * (past_log_mid - log0 + 0.5 * slope);
                const double cube = 2.0 * (d2 - d1);
                const double square = d1 + cube;
                double r = dxi / past_dxi;
                log1 = log0 + r * (slope + r * (square + r * cube));
                r *= 0.5;
                log_mid = log0 + r * (slope + r * (square + r * cube));
                if (abs(log1 - log0) > 3.0) {
                    log_mid = log0;
                    log1 = log0;
                }
            }

            const double a = q * dxi;
            bool solved = false;
            double tau_mid = 0.0;
            double tau1 = 0.0;
            double inv_t1 = inv_t;
            double inv_tf1 = inv_tf;
            TNM_COUNTED(STEPS, 1);
            for (int pass = 0; pass < 12; pass++) {
                TNM_COUNTED(NEWTON_PASSES, 1);
                tau_mid = exp(log_mid);
                tau1 = exp(log1);
                const double t_mid = t + a * (t_half0 + t_half1 * tau_mid + t_half2 * tau1);
                const double t1 = t + a * (t_full0 + t_full1 * tau_mid + t_full2 * tau1);
                const double inv_tm = 1.0 / t_mid;
                inv_t1 = 1.0 / t1;
                const double inv_tfm =
                    1.0 / (t_mid - decayed_half - a * (p_half0 + p_half1 * tau_mid + p_half2 * tau1));
                inv_tf1 = 1.0 / (t1 - decayed - a * (p_full0 + p_full1 * tau_mid + p_full2 * tau1));
                const double f_mid = log_mid - (ln_a + ax * inv_tm + bx * inv_tfm);
                const double f1 = log1 - (ln_a + ax * inv_t1 + bx * inv_tf1);
                const double x_mid = ax * inv_tm * inv_tm * a;
                const double y_mid = bx * inv_tfm * inv_tfm * a;
                const double x1 = ax * inv_t1 * inv_t1 * a;
                const double y1 = bx * inv_tf1 * inv_tf1 * a;
                const double j11 = 1.0 + tau_mid * (x_mid * t_half1 + y_mid * (t_half1 - p_half1));
                const double j12 = tau1 * (x_mid * t_half2 + y_mid * (t_half2 - p_half2));
                const double j21 = tau_mid * (x1 * t_full1 + y1 * (t_full1 - p_full1));
                const double j22 = 1.0 + tau1 * (x1 * t_full2 + y1 * (t_full2 - p_full2));
                const double det = 1.0 / (j11 * j22 - j12 * j21);
                const double d_mid = (f_mid * j22 - f1 * j12) * det;
                const double d_end = (f1 * j11 - f_mid * j21) * det;
                log_mid -= d_mid;
                log1 -= d_end;
                const double error = abs(d_mid) + abs(d_end);
                if (!(error < 5.0)) break;
                if (error < TNM_SOLVED) {
                    tau_mid *= 1.0 - d_mid * (1.0 - 0.5 * d_mid * (1.0 - d_mid * (1.0 / 3.0)));
                    tau1 *= 1.0 - d_end * (1.0 - 0.5 * d_end * (1.0 - d_end * (1.0 / 3.0)));
                    solved = true;
                    break;
                }
            }

            const double moved = abs(ax * (inv_t1 - inv_t)) + abs(bx * (inv_tf1 - inv_tf));
            const double d_t = a * (t_full0 + t_full1 * tau_mid + t_full2 * tau1);
            const double d_time = dxi * (t_full0 + t_full1 * tau_mid + t_full2 * tau1);
            bool too_far = false;
            if (land) {
                if (q == 0.0)
                    too_far = elapsed + d_time > duration[segment] * (1.0 + 1e-12);
                else
                    too_far = (t + d_t - end[segment]) * q > 1e-9 * abs(q);
            }
            if (!solved || !(moved <= 2.0 * target) || too_far) {
                rejections++;
                row--;
                if (row < 1 && too_far) {
                    // what is left of the segment is shorter than anything that relaxes
                    if (q != 0.0) {
                        const double rest = end[segment] - t;
                        for (int m = lo; m < n_modes; m++) p[TNM_PLACE(m)] += rest;
                        frozen_p += s[20] * rest;
                        sum_p += rest;
                        t = end[segment];
                    }
                    row = 1;
                    break;
                }
                if (row < 1 || rejections > 200) {
                    status = TNM_STATUS_STEP;
                    break;
                }
                continue;
            }
            rejections = 0;

            // the step is taken
            const double sum_p1 = decayed + a * (p_full0 + p_full1 * tau_mid + p_full2 * tau1);
            a0 = q * (b[0] * tau_m2 + b[5] * tau_m1 + b[10] * tau0 + b[15] * tau_mid + b[20] * tau1);
            a1 = q * (b[1] * tau_m2 + b[6] * tau_m1 + b[11] * tau0 + b[16] * tau_mid + b[21] * tau1);
            a2 = q * (b[2] * tau_m2 + b[7] * tau_m1 + b[12] * tau0 + b[17] * tau_mid + b[22] * tau1);
            a3 = q * (b[3] * tau_m2 + b[8] * tau_m1 + b[13] * tau0 + b[18] * tau_mid + b[23] * tau1);
            a4 = q * (b[4] * tau_m2 + b[9] * tau_m1 + b[14] * tau0 + b[19] * tau_mid + b[24] * tau1);
            const double h0 = 0.5 * a0;
            const double h1 = 0.25 * a1;
            const double h2 = 0.125 * a2;
            const double h3 = 0.0625 * a3;
            const double h4 = 0.03125 * a4;
            double kp = dxi * (s[10] * a0 + s[11] * a1 + s[12] * a2 + s[13] * a3 + s[14] * a4);
            double kp_mid = dxi * (s[15] * a0 + s[16] * a1 + s[17] * a2 + s[18] * a3 + s[19] * a4);
            TNM_COUNTED(MODE_UPDATES, hi > lo ? hi - lo : 0);
            for (int m = lo; m < hi; m++) {
                const Moments half = moments(table, row - 1, m);
                const Moments whole = moments(table, row, m);
                const double p0 = p[TNM_PLACE(m)];
                const double wk = weight(table, row, m) * rate_constant(table, row, m);
                const double p_mid = half.e * p0 + dxi * forced(half, h0, h1, h2, h3, h4);
                const double p_end = whole.e * p0 + dxi * forced(whole, a0, a1, a2, a3, a4);
                p[TNM_PLACE(m)] = p_end;
                kp_mid += wk * p_mid;
                kp += wk * p_end;
            }
            frozen_p += s[20] * d_t;
            elapsed += d_time;
            const double inv_rate = q != 0.0 ? 1.0 / q : 0.0;
            const double cpn_mid = kp_mid * inv_rate / tau_mid;
            const double cpn1 = kp * inv_rate / tau1;
            if (heating) {
                // not at the very start, where a quenched glass relaxes whatever its temperature
                if (curve.nodes == 1) summary[TNM_FIRST] = cpn1;
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const double node_t =
                        half == 0 ? t + a * (t_half0 + t_half1 * tau_mid + t_half2 * tau1) : t + d_t;
                    const double node_c = half == 0 ? cpn_mid : cpn1;
                    add_node(curve, node_t, node_c);
                    find_peak(curve);
                    if (curve.nodes >= TNM_STENCIL) emit(curve, curve.t[3]);
                }
            }

            past_log0 = log0;
            past_log_mid = log_mid;
            past_dxi = dxi;
            past_row = row;
            tau_m2 = tau0;
            tau_m1 = tau_mid;
            const double grown = tau1 / tau0;
            log0 = log1;
            tau0 = tau1;
            t += d_t;
            sum_p = sum_p1;
            sum_kp = kp;
            inv_t = inv_t1;
            inv_tf = inv_tf1;
            has_past = true;

            if (q == 0.0) {
                // the time is over, or nothing is left that could relax
                if (duration[segment] - elapsed < 1e-9 * duration[segment] || hi == 0) break;
            } else if (land) {
                if (abs(t - end[segment]) < 1e-6) break;
            } else if ((t - end[segment]) * q >= 0.0) {
                break;
            }
            if (heating && hi == 0 && abs(cpn1 - 1.0) < 1e-5) break;
            // where CpN is flat, at 0 or 1, longer steps give the same error
            const double flat0 = larger(larger(abs(cpn0), abs(cpn_mid)), abs(cpn1));
            const double flat1 = larger(larger(abs(cpn0 - 1.0), abs(cpn_mid - 1.0)), abs(cpn1 - 1.0));
            const double flat = smaller(flat0, flat1);
            cpn0 = cpn1;
            target = base * (flat > TNM_FLAT ? 1.0 : (flat > TNM_FLATTER ? TNM_FLAT_FACTOR : TNM_FLATTER_FACTOR));
            // ln τ is expected to change by as much again, in proportion to τ
            const double expected = moved * grown;
            if (expected < 0.7071 * target) {
                row++;
            } else if (expected > 1.4142 * target) {
                row--;
                if (expected > 2.8284 * target) row--;
            }
            row = larger(1, smaller(row, rows - 1));
        }
        if (status != TNM_STATUS_OK) break;
        if (has_past) {
            // the next segment finds every mode as this one left it
            for (int m = larger(hi, lo); m < n_modes; m++)
                p[TNM_PLACE(m)] = past_dxi * forced(moments(table, past_row, m), a0, a1, a2, a3, a4);
            hi = n_modes;
        }
    }

    if (curve.nodes >= TNM_STENCIL) emit(curve, curve.t[TNM_STENCIL - 1]);
    summary[TNM_TF_LIMIT] = tf_limit;
    summary[TNM_CPN_MAX] = curve.peak;
    summary[TNM_T_PEAK] = curve.peak_t;
    summary[TNM_LAST] = curve.nodes > 0 ? curve.c[TNM_STENCIL - 1] : 0.0;
    summary[TNM_STATUS] = status;
}

// What all scans of a call share; shapes as in backends.py, and
//   order (n,): samples in the order of work; side: samples that lie side by side in it and share a β;
//   index (n_beta, 7), first_level (n_beta,): spectrum.TableStack.
#define TNM_ARGUMENTS                                                                                                 \
    integer n, int scans, int segments, int side, const int *__restrict__ order,                                      \
        const double *__restrict__ parameters, const double *__restrict__ width, const double *__restrict__ glass,    \
        const int *__restrict__ which, double change_cooling, double change_heating, const double *__restrict__ rate, \
        const double *__restrict__ end, const double *__restrict__ duration, double high,                             \
        const integer *__restrict__ index, const int *__restrict__ first_level, TNM_TABLES,                           \
        const double *__restrict__ sums, const int *__restrict__ limits, const int *__restrict__ start,               \
        const int *__restrict__ points, const integer *__restrict__ offset, double grid_low, double step
#define TNM_ARGUMENT_NAMES                                                                                            \
    n, scans, segments, side, order, parameters, width, glass, which, change_cooling, change_heating, rate, end,      \
        duration, high, index, first_level, TNM_TABLE_NAMES, sums, limits, start, points, offset, grid_low, step

// Work item → scan: `side` samples side by side, their first scans, their second scans, …; false beyond the end
TNM_FUNCTION bool item_scan(integer item, integer n, int scans, int side, const int *order, int &sample, int &number) {
    const integer group = item / (static_cast<integer>(side) * scans);
    const int rest = static_cast<int>(item - group * side * scans);
    const integer place = group * side + rest % side;
    if (place >= n) return false;
    sample = order[place];
    number = rest / side;
    return true;
}

// One scan of one sample; written (2,): the grid points written, first and one past the last
template <typename Real>
TNM_FUNCTION void
run(TNM_ARGUMENTS, int i, int number, double *p, integer stride, Real *out, double *summary, int *written) {
    (void)n, (void)side, (void)order;
    const int k = which[i];
    const integer *at = index + 7 * k;
    Tables table;
    table.modes = static_cast<int>(at[5]);
    table.rows = static_cast<int>(at[6]);
    table.first_level = first_level[k];
#ifdef __CUDACC__
    table.records = records + 4 * at[1];
#else
    table.rates = rates + at[0];
    table.weights = weights + at[0];
    table.e = e + at[1];
    table.g = g + at[2];
#endif
    table.sums = sums + at[3];
    table.limits = limits + at[4];
    Curve<Real> curve;
    curve.points = points[i];
    curve.grid_low = grid_low + step * start[i];
    curve.step = step;
    curve.out = out + offset[i] + static_cast<integer>(number) * points[i];
    const int ramps = number * segments;
    scan(
        parameters + 4 * i, rate + ramps, end + ramps, duration + ramps, segments, high, width[i], change_cooling,
        change_heating, glass[i], table, p, stride, curve, summary + 6 * (static_cast<integer>(i) * scans + number)
    );
    written[0] = curve.first;
    written[1] = curve.at;
}

#ifdef __CUDACC__

// Physics: warps fetch 32 scans at a time until none is left, so that long and short ones even out.
// work (modes, threads in flight); counter: zero at the start; written (n, scans, 2).
template <typename Real>
TNM_FUNCTION void
physics(TNM_ARGUMENTS, double *work, unsigned long long *counter, Real *out, double *summary, int *written) {
    const integer stride = static_cast<integer>(gridDim.x) * blockDim.x;
    double *p = work + static_cast<integer>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int lane = threadIdx.x % 32;
    const integer items = (n + side - 1) / side * side * scans;
    while (true) {
        unsigned long long first = 0;
        if (lane == 0) first = atomicAdd(counter, 32ULL);
        const integer item = static_cast<integer>(__shfl_sync(0xffffffffu, first, 0)) + lane;
        if (item - lane >= items) break;
        int i, number;
        if (item < items && item_scan(item, n, scans, side, order, i, number))
            run(TNM_ARGUMENT_NAMES, i, number, p, stride, out, summary,
                written + 2 * (static_cast<integer>(i) * scans + number));
        __syncwarp();
    }
}

// Flat parts: a block takes a scan at a time and writes 0 below what the physics has written, 1 above
template <typename Real>
TNM_FUNCTION void flats(
    integer n, int scans, const int *__restrict__ points, const integer *__restrict__ offset,
    const int *__restrict__ written, Real *__restrict__ out
) {
    for (integer row = blockIdx.x; row < n * scans; row += gridDim.x) {
        const integer i = row / scans;
        const int length = points[i];
        Real *target = out + offset[i] + (row - i * scans) * length;
        const int low = written[2 * row], high = written[2 * row + 1];
        for (int at = threadIdx.x; at < low; at += blockDim.x) target[at] = static_cast<Real>(0);
        for (int at = high + threadIdx.x; at < length; at += blockDim.x) target[at] = static_cast<Real>(1);
    }
}

#define TNM_ENTRY(name, Real)                                                                                         \
    extern "C" __global__ void __launch_bounds__(TNM_BLOCK, TNM_BLOCKS) tnm_physics_##name(                           \
        TNM_ARGUMENTS, double *work, unsigned long long *counter, Real *out, double *summary, int *written            \
    ) {                                                                                                               \
        physics<Real>(TNM_ARGUMENT_NAMES, work, counter, out, summary, written);                                      \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(TNM_BLOCK) tnm_flats_##name(                                         \
        integer n, int scans, const int *__restrict__ points, const integer *__restrict__ offset,                     \
        const int *__restrict__ written, Real *__restrict__ out                                                       \
    ) {                                                                                                               \
        flats<Real>(n, scans, points, offset, written, out);                                                          \
    }

#else

// The work items first … last - 1, one after the other, as a thread of the device would take them
template <typename Real>
static void loop(TNM_ARGUMENTS, integer first, integer last, Real *out, double *summary) {
    double work[TNM_MODES];
    for (integer item = first; item < last; item++) {
        int i, number, written[2];
        if (!item_scan(item, n, scans, side, order, i, number)) continue;
        run(TNM_ARGUMENT_NAMES, i, number, work, 1, out, summary, written);
        Real *target = out + offset[i] + static_cast<integer>(number) * points[i];
        for (int at = 0; at < written[0]; at++) target[at] = static_cast<Real>(0);
        for (int at = written[1]; at < points[i]; at++) target[at] = static_cast<Real>(1);
    }
}

#define TNM_ENTRY(name, Real)                                                                                         \
    extern "C" void tnm_##name(TNM_ARGUMENTS, integer first, integer last, Real *out, double *summary) {              \
        loop<Real>(TNM_ARGUMENT_NAMES, first, last, out, summary);                                                    \
    }

#endif

TNM_ENTRY(float32, float)
TNM_ENTRY(float64, double)
