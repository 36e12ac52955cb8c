/* Which exceptions floating point has met: of SSE, then of x87. */
#include "check.h"
#include <fenv.h>
#include <float.h>

static const char *found(void) {
    static char text[6];
    int flags = fetestexcept(FE_ALL_EXCEPT), all[] = {FE_INVALID, FE_DIVBYZERO, FE_OVERFLOW, FE_UNDERFLOW, FE_INEXACT};
    for (int i = 0; i < 5; i++) text[i] = flags & all[i] ? "idoux"[i] : '-';
    feclearexcept(FE_ALL_EXCEPT);
    return text;
}

int main(void) {
    volatile double zero = 0, one = 1, large = DBL_MAX, small = DBL_MIN, result;
    volatile long double wide_zero = 0, wide = 1, wide_result;
    feclearexcept(FE_ALL_EXCEPT);
    result = zero / zero, printf("%s ", found());
    result = one / zero, printf("%s ", found());
    result = large * 2, printf("%s ", found());
    result = small * 0.3, printf("%s ", found());
    result = one / 3, printf("%s\n", found());
    wide_result = wide_zero / wide_zero, printf("%s ", found());
    wide_result = wide / wide_zero, printf("%s ", found());
    wide_result = wide / 3, printf("%s\n", found());
    (void)result, (void)wide_result;
    return 0;
}
