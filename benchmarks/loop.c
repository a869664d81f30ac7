/* The 99% quantile of response times under the power of two choices, by a plain loop over arrivals.

   100 FIFO servers of one worker each, Poisson arrivals, exponential services of mean 1, load 0.9. Each request draws
   two different servers and joins the one with fewer requests, the first drawn where they tie. FIFO departures are
   known at arrival: each server keeps those still to come in a ring, and no calendar of events is needed. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 100, RING = 256, WARM_UP = 20000, BINS = 1 << 16 };
static const double LOAD = 0.9, WIDTH = 1e-3;

static uint64_t state[4];

static uint64_t rotated(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

static uint64_t bits(void) { /* xoshiro256++ (Blackman and Vigna) */
    uint64_t result = rotated(state[0] + state[3], 23) + state[0], shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotated(state[3], 45);
    return result;
}

static void start(uint64_t seed) { /* splitmix64 */
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        state[i] = z ^ (z >> 31);
    }
}

static double exponential(void) { return -log(((double)(bits() >> 11) + 0.5) * 0x1p-53); }

typedef struct {
    double leaves[RING], last;
    unsigned first, end;
} Server;

static Server servers[SERVERS];

static unsigned present(Server *server, double now) {
    while (server->first != server->end && server->leaves[server->first % RING] <= now)
        server->first++;
    return server->end - server->first;
}

/* The quantile of `requests` response times after a warm-up from empty; NaN where a ring or the bins are too small. */
double p99(uint64_t seed, long requests) {
    static unsigned bins[BINS];
    double now = 0;
    start(seed);
    memset(servers, 0, sizeof servers);
    memset(bins, 0, sizeof bins);
    for (long i = -WARM_UP; i < requests; i++) {
        now += exponential() / (LOAD * SERVERS);
        uint64_t drawn = bits();
        unsigned one = (drawn >> 32) * SERVERS >> 32, two = (drawn & 0xffffffff) * (SERVERS - 1) >> 32;
        two += two >= one;
        Server *first = &servers[one], *second = &servers[two];
        Server *chosen = present(second, now) < present(first, now) ? second : first;
        if (chosen->end - chosen->first == RING)
            return NAN;
        chosen->last = (chosen->last > now ? chosen->last : now) + exponential();
        chosen->leaves[chosen->end++ % RING] = chosen->last;
        if (i < 0)
            continue;
        double bin = (chosen->last - now) / WIDTH;
        if (bin >= BINS)
            return NAN;
        bins[(unsigned)bin]++;
    }
    double wanted = 0.99 * (double)requests, seen = 0;
    for (int i = 0; i < BINS; i++) {
        if (seen + bins[i] >= wanted)
            return WIDTH * (i + (wanted - seen) / bins[i]);
        seen += bins[i];
    }
    return NAN;
}
