tr 'a-z' 'A-Z' < data/text | sed -n '1~5p' | nl -ba
join() { awk 'NR == FNR { a[$1] = $2; next } $1 in a { print $1, a[$1], $2 }' "$1" "$2"; }
printf '1 a\n2 b\n3 c\n' > tmp/l; printf '2 x\n3 y\n4 z\n' > tmp/r; join tmp/l tmp/r
sort -t, -k1,1n data/words | awk -F, 'NR % 50 == 0' | while IFS=, read n h w; do printf '%-8s %4d %s\n' $w $n $h; done
cut -d, -f3 data/words | sort | uniq -d | wc -l; cut -d, -f3 data/words | sort | uniq -u | wc -l
grep -E '^[0-9]{3},' data/words | sed -E 's/^([0-9]+),.*/\1/' | sort -n | awk '{ a[NR] = $1 } END { print a[int(NR / 2)] }'
