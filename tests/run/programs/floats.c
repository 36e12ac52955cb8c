/* Floating point: SSE and x87, their control words, the mathematical library, and printing. */
#include "check.h"
#include <fenv.h>
#include <float.h>
#include <math.h>

int main(void) {
    volatile double zero = 0, one = 1, three = 3;
    volatile float single = 1.1f;
    volatile long double wide = 1;
    printf("%g %f %e %a %.17g\n", one / three, 1e15 / three, 1 / three, one / three, 0.1 + 0.2);
    printf("%Lg %.20Lf %La\n", wide / 3, wide / 7, wide / 3);
    printf("%g %g %d %d\n", one / zero, -one / zero, isnan(zero / zero), isnan(sqrt(-one)) != 0);
    printf("%g %.9g %a\n", DBL_MIN / 4, single * 3, (double)single);
    for (int i = 0; i < 6; i++) {
        double x = i * 0.7 + 0.1;
        printf("%.10g %.10g %.10g %.10g %.10g\n", sin(x), exp(x), log(x), pow(x, 1.5), atan2(x, 2));
    }
    int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        volatile double third = one / three;
        volatile long double wide_third = wide / 3;
        printf("%a %La %ld %ld\n", third, wide_third, lrint(2.5 * one), lrint(-2.5 * one));
    }
    fesetround(FE_TONEAREST);
    char *end;
    double long_text = strtod("3.14159265358979323846264", &end), with_rest = strtod("0x1.8p-3rest", &end);
    printf("%.17g %.17g %s\n", long_text, with_rest, end);
    double sum = 0;
    for (int i = 1; i < 200000; i++) sum += 1.0 / ((double)i * i);
    printf("%.15g\n", sum);
    return 0;
}
