/* SPDX-License-Identifier: Apache-2.0
 *
 * What every source of the engine includes first: the public interface, the guards that keep float arithmetic exact,
 * and the few scalar functions the operators share.
 *
 * Promise: the same input gives the same bits on every target. Integers keep it by nature. Floats keep it as long as
 * each multiplication and addition is IEEE 754 binary32, rounded on its own, in the order written. The guards below
 * turn every compiler setting known to break that into a compile error.
 */
#ifndef KWSI_ARITHMETIC_H
#define KWSI_ARITHMETIC_H

/* The build hides symbols by default; what kws.h declares is what a shared library shows. */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
#include "kws.h"
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#include <float.h>
#include <string.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||                         \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "kws: compile without -ffast-math (or -Ofast) and its parts: results must have the same bits on every target"
#endif

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "kws: float arithmetic must be evaluated in float (on 32-bit x86: -msse2 -mfpmath=sse)"
#endif

/* A fused multiply-add rounds once where the definition rounds twice. Clang obeys the pragma. GCC has no such pragma:
 * its ISO modes (-std=c11) do not contract, its GNU modes (-std=gnu11) do unless told -ffp-contract=off, which a source
 * cannot see; a build that must use a GNU mode says so by defining KWS_FP_CONTRACT_OFF next to the flag. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && defined(__FP_FAST_FMAF) && !defined(__STRICT_ANSI__) && !defined(KWS_FP_CONTRACT_OFF)
#error "kws: compile with -std=c11 -ffp-contract=off; with -std=gnu11, add -ffp-contract=off -DKWS_FP_CONTRACT_OFF"
#endif

/* The bits of a float, and back: the only reinterpretation the engine does. */
static inline uint32_t kwsi_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float kwsi_bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int kwsi_is_finite(float value) {
    return (kwsi_float_bits(value) & 0x7f800000u) != 0x7f800000u;
}

/* Set bits of a word. The builtin is used only where it is an instruction: elsewhere it calls the compiler's run-time
 * library, which a bare firmware may not link. */
static inline int kwsi_popcount(uint64_t word) {
#if defined(__GNUC__) && (defined(__POPCNT__) || defined(__aarch64__) || defined(__wasm__))
    return __builtin_popcountll(word);
#else
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)((word * 0x0101010101010101u) >> 56);
#endif
}

/* Lowest level of a feature, in dB: everything at or below KWSI_POWER_FLOOR, digital silence included. */
#define KWSI_SILENCE (-100.0f)
#define KWSI_POWER_FLOOR 1e-10f

/* 10 log10(max(power, KWSI_POWER_FLOOR)); within 1e-5 dB up to a power of 1e4, and an ulp or two beyond. */
float kwsi_decibels(float power);

/* exp(x) for x <= 0, within 2 units in the last place; 0 below -80, and for NaN. */
float kwsi_exp(float x);

#endif
