package hooks

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/crypto/ssh"
)

var authorizedKeysHelp = Help{
	Name:    "authorized-keys",
	Summary: "let SSH keys log in as users of the image",
	Text: `Writes .ssh/authorized_keys (0600, its directory 0700) into the users' homes.
The users themselves are made by the image.

user  the user's name
home  /root for root, else /home/USER, if it is left out
uid   the user's number in the image; needed for all but root
gid   the group's number; the same as uid if it is left out
keys  lines as authorized_keys takes them: options, type, key, comment`,
}

func (a *AuthorizedKeys) render(r *renderer, hook string) error {
	for _, u := range a.Users {
		if err := u.render(r, hook); err != nil {
			return fmt.Errorf("keys of user %q: %w", u.User, err)
		}
	}
	return nil
}

func (u UserKeys) render(r *renderer, hook string) error {
	content, err := u.content()
	if err != nil {
		return err
	}
	home, gid := u.home(), u.GID
	if gid == 0 {
		gid = u.UID
	}
	dir := node{mode: fs.ModeDir | 0o700, uid: u.UID, gid: gid, from: hook}
	homeDir, sshDir := dir, dir
	homeDir.implied = true
	if err := r.tree.addDir(home, &homeDir); err != nil {
		return err
	}
	if err := r.tree.addDir(path.Join(home, ".ssh"), &sshDir); err != nil {
		return err
	}
	return r.files(hook, []File{{
		Path: path.Join(home, ".ssh/authorized_keys"), Mode: 0o600, UID: u.UID, GID: gid, Content: []byte(content),
	}})
}

func (u UserKeys) home() string {
	if u.Home == "" && u.User == "root" {
		return "/root"
	}
	return orDefault(u.Home, "/home/"+u.User)
}

func (u UserKeys) content() (string, error) {
	switch {
	case u.User == "" || fileName(u.User) != u.User:
		return "", fmt.Errorf("that is not a user's name")
	case u.UID < 0 || u.GID < 0:
		return "", fmt.Errorf("owner %d:%d is negative", u.UID, u.GID)
	case u.User != "root" && u.UID == 0:
		return "", fmt.Errorf("uid is missing; give the user's number in the image")
	}
	var b strings.Builder
	for i, line := range u.Keys {
		line = strings.TrimSpace(line)
		if strings.ContainsAny(line, "\n\r\x00") {
			return "", fmt.Errorf("key %d has more than one line", i+1)
		}
		if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err != nil {
			return "", fmt.Errorf("key %d is not a line of authorized_keys, as ssh-keygen writes into .pub files: %w", i+1, err)
		}
		b.WriteString(line + "\n")
	}
	return b.String(), nil
}
