name=world
cat <<END
hello $name $((1 + 2)) $(echo sub)
END
cat <<'END'
hello $name $((1 + 2)) `no`
END
cat <<-END
	tabs are
		taken
	END
wc -l <<A; tr a-z A-Z <<B
1
2
A
words
B
while read line; do echo "> $line"; done <<END
first
second \
third
END
f() { cat; } 
f <<END
to a function
END
i=0
while [ $i -lt 3 ]; do i=$((i + 1)); cat <<END
$i
END
done
cat <<END | sed 's/^/| /' | sort -r
b
a
END
cat <<END
$(seq 2000 | tail -n 2)
END
