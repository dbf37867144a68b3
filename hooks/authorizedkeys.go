package hooks

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

func (r *renderer) authorizedKeys(hook string, a *kind.AuthorizedKeys) error {
	for _, u := range a.Users {
		if err := r.userKeys(hook, u); err != nil {
			return fmt.Errorf("keys of user %q: %w", u.User, err)
		}
	}
	return nil
}

func (r *renderer) userKeys(hook string, u kind.UserKeys) error {
	gid := u.GID
	if gid == 0 {
		gid = u.UID
	}
	dir := node{mode: fs.ModeDir | 0o700, uid: u.UID, gid: gid, from: hook}
	homeDir, sshDir := dir, dir
	homeDir.implied = true
	if err := r.tree.addDir(u.Home, &homeDir); err != nil {
		return err
	}
	if err := r.tree.addDir(path.Join(u.Home, ".ssh"), &sshDir); err != nil {
		return err
	}
	var b strings.Builder
	for _, line := range u.Keys {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return r.files(hook, []kind.File{{
		Path: path.Join(u.Home, ".ssh/authorized_keys"), Mode: 0o600, UID: u.UID, GID: gid, Content: []byte(b.String()),
	}})
}
