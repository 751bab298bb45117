#!/bin/sh
# `docker run --rm dittonetwork/avs-operator generate`: nobody can type a password, and no file outlives the container. So the
# keys are printed, as the documents have it. With a volume and a terminal they go into keystores:
# `docker run --rm -it -v "$PWD/keys:/keys" --user "$(id -u)" dittonetwork/avs-operator generate --out /keys`
if [ "$#" = 1 ] && [ "$1" = generate ] && ! [ -t 0 ]; then
	set -- generate --show-private-keys
fi
exec ditto-operator "$@"
