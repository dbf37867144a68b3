package qemu

import (
	"context"
	"path"
	"strconv"
	"strings"
)

// maxFile bounds what is read of one file of a disk.
const maxFile = 1 << 20

// Recover brings what a machine that was cut off has noted in the disk's journal
// to where ReadFolder finds it, as far as that is possible.
func Recover(ctx context.Context, disk string) {
	_, _ = output(ctx, "", "e2fsck", "-p", "-E", "journal_only", disk)
}

// ReadFolder returns the files of one folder of a disk, by name. A machine may be
// running from it: then what it has not written yet is not there, and what it is
// writing may be garbage.
func ReadFolder(ctx context.Context, disk, folder string) (map[string]string, error) {
	list, err := output(ctx, "", "debugfs", "-R", "ls -p "+quoted(folder), disk)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for line := range strings.Lines(list) {
		// /inode/mode/uid/gid/name/size/
		field := strings.Split(strings.TrimSpace(line), "/")
		if len(field) != 8 || !strings.HasPrefix(field[2], "100") || strings.ContainsAny(field[5], "\"\n") {
			continue
		}
		if size, err := strconv.Atoi(field[6]); err != nil || size > maxFile {
			continue
		}
		if files[field[5]], err = output(ctx, "", "debugfs", "-R", "cat "+quoted(path.Join(folder, field[5])), disk); err != nil {
			return nil, err
		}
	}
	return files, nil
}
