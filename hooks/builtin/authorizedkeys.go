package builtin

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

func authorizedKeys(r *Target, a *kind.AuthorizedKeys) error {
	for _, u := range a.Users {
		if err := userKeys(r, u); err != nil {
			return fmt.Errorf("keys of user %q: %w", u.User, err)
		}
	}
	return nil
}

func userKeys(r *Target, u kind.UserKeys) error {
	gid := u.GID
	if gid == 0 {
		gid = u.UID
	}
	dir := layer.Node{Mode: fs.ModeDir | 0o700, UID: u.UID, GID: gid, From: r.hook}
	homeDir, sshDir := dir, dir
	homeDir.Implied = true
	if err := r.AddDir(u.Home, &homeDir); err != nil {
		return err
	}
	if err := r.AddDir(path.Join(u.Home, ".ssh"), &sshDir); err != nil {
		return err
	}
	var b strings.Builder
	for _, line := range u.Keys {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return r.files(kind.File{
		Path: path.Join(u.Home, ".ssh/authorized_keys"), Mode: 0o600, UID: u.UID, GID: gid, Content: []byte(b.String()),
	})
}
