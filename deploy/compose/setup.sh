#!/bin/sh
# Makes .env with random passwords, once. It is readable for you only.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
    echo "there is a .env already; remove it to make new passwords, which databases that exist do not have" >&2
    exit 1
fi
umask 077
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
hash() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
while IFS= read -r line; do
    name=${line%%=*}
    case $line in
    *_PASSWORD_SHA256=) eval "value=\$(hash \"\$$(echo "$name" | sed 's/_SHA256$//')\")" ;;
    *_PASSWORD=)
        value=$(random)
        eval "$name=\$value"
        ;;
    *)
        printf '%s\n' "$line"
        continue
        ;;
    esac
    printf '%s=%s\n' "$name" "$value"
done <.env.example >.env.new
mv .env.new .env
echo "wrote $(pwd)/.env"
