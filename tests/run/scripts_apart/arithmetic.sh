gcd() { a=$1 b=$2; while [ $b -ne 0 ]; do t=$((a % b)); a=$b; b=$t; done; echo $a; }
gcd 1071 462; gcd 17 5
collatz() { n=$1 c=0; while [ $n -ne 1 ]; do n=$((n % 2 ? 3 * n + 1 : n / 2)); c=$((c + 1)); done; echo $c; }
for i in 7 27 97; do collatz $i; done
echo "$(( (1 << 62) - 1 + (1 << 62) )) $((0777)) $((10 & 6 | 1 ^ 3)) $((!5)) $((a = 4, a += 3, a))"
echo 'x = 1; for (i = 1; i <= 25; i++) x *= i; x; define f(n) { if (n < 2) return (n); return (f(n-1) + f(n-2)); } f(15)' | bc
awk 'BEGIN { printf "%.6f %d %s %5.1f|\n", atan2(1, 1) * 4, 2^31, substr("hello", 2, 3), 3.14159; split("a:b:c", p, ":"); print p[3], length("four"), index("abc", "c"), toupper("x") }'
