echo one > tmp/f; echo two >> tmp/f; cat tmp/f
echo err >&2
{ echo out; echo err >&2; } > tmp/both 2>&1; cat tmp/both
{ echo out; echo err >&2; } 2>&1 >/dev/null | sed 's/^/piped: /'
exec 3> tmp/three; echo to three >&3; exec 3>&-; cat tmp/three
echo closed >&3; echo $?
exec 4< data/text; read a <&4; read b <&4; echo "$a / $b"; exec 4<&-
printf 'abcdef' > tmp/rw; exec 5<> tmp/rw; head -c 2 <&5 >/dev/null; printf XY >&5; exec 5>&-; cat tmp/rw; echo
: > tmp/empty; wc -c < tmp/empty
set -C; echo again > tmp/f; echo $?; echo forced >| tmp/f; cat tmp/f; set +C
cat < data/folder/inner > tmp/copied; cmp data/folder/inner tmp/copied && echo same
(echo sub; echo sub2) > tmp/sub; cat tmp/sub
for i in 1 2 3; do echo $i; done > tmp/loop; cat tmp/loop
while read l; do echo "[$l]"; done < tmp/loop
echo visible 6>&1 >&6
2>&1 ls none | wc -l
echo x | cat - data/folder/inner
exec 7< data/words; exec 8<&7; read l <&7; read m <&8; echo $l $m
ls none >&- 2>&-; echo $?
echo lost >&-; echo $?
cat /dev/null; echo gone > /dev/null; echo $?
read -r only < data/text; echo $only
exec > tmp/all; echo into the file; exec >&2; cat tmp/all
