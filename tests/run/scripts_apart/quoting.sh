a='single "quotes"' b="double 'quotes' $((1+1))" c=a\ b
printf '[%s]\n' "$a" "$b" "$c" $c "$@" '' "a
b"
set -- 'x  y' z; printf '<%s>' "$@"; echo; printf '<%s>' $*; echo; printf '<%s>' "$*"; echo
IFS=-; echo "$*"; unset IFS; d='*'; echo $d "$d"; e=$(printf 'a\tb'); echo "$e" | od -c | head -n 1
echo "${a%% *}" "${b##* }" "${none-unset}" "${#c}" "${c#a}"; echo "\$a" \\ '\' "\"" "`echo \"in\"`"
