for t in '-e /data' '-f /data' '-d /data' '-L /data/link' '-s /data/empty' '-x /bin/sh' '-z ""' '1 -eq 1' 'a != a' '! -e /x'; do eval "[ $t ]"; echo "$t: $?"; done
[ -t 0 ]; echo $?; [ -p /dev/stdin ] 2>/dev/null; [ data/words -ef data/words ]; echo $?
sh -c '[ 1 -gt ]' 2>/dev/null; echo $?; test; echo $?
md5sum data/words > tmp/sums; md5sum -c tmp/sums; echo x >> tmp/sums; sha256sum data/text | sha256sum -c; echo "0000  data/text" | md5sum -c 2>/dev/null; echo $?
