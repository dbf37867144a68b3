# pack FOLDER writes a root file system to standard output: owners, modes and
# capabilities as they are, nothing of other mounts, and in an order and with
# times that are the same whenever it is made.
pack() {
	tar --create --directory "$1" --one-file-system --numeric-owner --sort=name \
		--xattrs --xattrs-include='*' --clamp-mtime --mtime="@$SOURCE_DATE_EPOCH" \
		--pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' .
}
