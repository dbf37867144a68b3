package gitdir

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"github.com/gitboot/gitboot/internal/owned"
)

// CheckOwners refuses what belongs to another user than root and the one who runs
// this: who owns a repo decides what is read, with the rights of who reads it. As
// in git, who called sudo is trusted, too: it was that user who chose the repo,
// and may become root. What cannot be looked at is not refused here.
func CheckOwners(paths ...string) error {
	for _, path := range paths {
		err := owned.Owner(path, sudoUser()...)
		if unseen := (*fs.PathError)(nil); err != nil && !errors.As(err, &unseen) {
			return err
		}
	}
	return nil
}

// sudoUser returns who called sudo, if anybody did.
func sudoUser() []uint32 {
	uid, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	return []uint32{uint32(uid)}
}
