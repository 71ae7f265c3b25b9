/* SPDX-License-Identifier: Apache-2.0
 *
 * Logarithm and exponential in basic float operations alone: a libm differs from the next in the last bit.
 */
#include "arithmetic.h"

float kwsi_decibels(float power) {
    if (!(power > KWSI_POWER_FLOOR)) {
        return KWSI_SILENCE;
    }
    /* power = 2^exponent * mantissa, with the mantissa in (sqrt(1/2), sqrt(2)] */
    uint32_t bits = kwsi_float_bits(power);
    float exponent = (float)((int32_t)(bits >> 23) - 127);
    float mantissa = kwsi_bits_float((bits & 0x007fffffu) | 0x3f800000u);
    if (mantissa > 1.41421356f) {
        mantissa = mantissa * 0.5f;
        exponent = exponent + 1.0f;
    }
    /* ln(mantissa) = 2 atanh(s), |s| < 0.172: five terms of the odd series leave less than 1e-9 */
    float s = (mantissa - 1.0f) / (mantissa + 1.0f);
    float square = s * s;
    float series = 1.0f / 9.0f;
    series = series * square + 1.0f / 7.0f;
    series = series * square + 1.0f / 5.0f;
    series = series * square + 1.0f / 3.0f;
    series = series * square + 1.0f;
    /* 10 log10(2) and 20 log10(e) */
    return exponent * 3.01029996f + (s * series) * 8.68588964f;
}

float kwsi_exp(float x) {
    /* Cut far above the subnormal numbers, which some targets flush to zero. The form also catches NaN. */
    if (!(x >= -80.0f)) {
        return 0.0f;
    }
    /* x = k ln 2 + r with |r| <= ln(2) / 2; ln 2 in two parts, the first short enough for k times it to be exact */
    int32_t k = (int32_t)(x * 1.44269504f - 0.5f);
    float r = x - (float)k * 0.693359375f;
    r = r - (float)k * -2.12194440e-4f;
    float series = 1.9875691500e-4f; /* minimax polynomial of the Cephes library */
    series = series * r + 1.3981999507e-3f;
    series = series * r + 8.3334519073e-3f;
    series = series * r + 4.1665795894e-2f;
    series = series * r + 1.6666665459e-1f;
    series = series * r + 5.0000001201e-1f;
    float mantissa = (series * (r * r) + r) + 1.0f;
    return mantissa * kwsi_bits_float((uint32_t)(k + 127) << 23);
}
