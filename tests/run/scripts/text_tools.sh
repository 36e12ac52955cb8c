cd data
sort -t, -k3,3 -k1,1n words | head -n 4
sort -u words | wc -l
cut -d, -f1 words | sort -n | uniq | tail -n 2
sed -n '3,5p;7q' words
sed 's/word\([0-9]*\)/<\1>/;2d' words | head -n 3
sed -e '1i\top' -e '$a\end' folder/inner
awk -F, '$1 > 1000 { print $3, $1 }' words
awk -F, '{ c[$3]++ } END { for (k in c) print k, c[k] }' words | sort
tr -d '0-9,' < words | sort | uniq -c
tr -s 'o' < text | head -n 2
head -n -38 text; tail -n +40 text; echo
head -c 20 words; echo; tail -c 20 words
wc words text empty
grep -c word1 words; grep -n 'line 3.' text | head -n 3; grep -v line text; grep -l inner folder/* text; grep -o 'd1[0-9]' words | sort | uniq -c
paste -d: folder/inner folder/deep/most
seq 10 | paste - - - 

seq 3 > /tmp/a; seq 2 4 > /tmp/b; diff /tmp/a /tmp/b; echo $?; diff -u /tmp/a /tmp/a && echo equal
cmp /tmp/a /tmp/b; echo $?
fold -w 10 folder/inner; nl folder/inner; rev folder/inner; tac /tmp/a
od -c folder/inner; od -An -tx1 folder/inner; hexdump -C folder/inner; xxd folder/inner
md5sum words text; sha1sum words; sha256sum text; sha512sum empty; cksum words; sum words
expand -t 4 <<END
a	b	c
END
strings -n 6 words | head -n 2
base64 folder/inner | tee /tmp/64; base64 -d /tmp/64
seq -w 8 11; seq 1 3 10; seq 5 -2 1; seq -s, 4
printf '%5d|%-5s|%x|%o|%c|%%|%b\n' 42 ab 255 8 xyz 'a\tb'
expr 3 + 4; expr length abcdef; expr abcabc : 'a.*c'; expr 1 = 2; echo $?
factor 60 97; basename /a/b.c .c; dirname /a/b.c
