package builtin

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

func users(r *Target, u *kind.Users) error {
	if !r.Known {
		return errors.New("users are added to those of the image, and it is not known yet; reconcile first")
	}
	db, err := readUsers(r.Tree)
	if err != nil {
		return err
	}
	for _, g := range u.Groups {
		if err := db.addGroup(g.Name, g.GID); err != nil {
			return err
		}
	}
	for _, user := range u.Users {
		if err := db.addUser(user); err != nil {
			return fmt.Errorf("user %q: %w", user.Name, err)
		}
	}
	if err := writeUsers(r, db); err != nil {
		return err
	}
	for _, user := range u.Users {
		if err := home(r, user); err != nil {
			return fmt.Errorf("home of user %q: %w", user.Name, err)
		}
	}
	return nil
}

// addGroup adds a group unless it is there.
func (db *userdb) addGroup(name string, gid int) error {
	row := db.group.row(name)
	switch {
	case len(row) > 2 && row[2] == strconv.Itoa(gid):
		return nil
	case row != nil:
		return fmt.Errorf("group %q is there with another number than %d; give it that of the image, or another name", name, gid)
	case db.group.numbered(gid) != "":
		return fmt.Errorf("group %q cannot have number %d, which is %q's; give it another", name, gid, db.group.numbered(gid))
	}
	db.group.add(name, "x", strconv.Itoa(gid), "")
	db.gshadow.set(name, "!", "", "")
	return nil
}

func (db *userdb) addUser(u kind.User) error {
	old := db.passwd.row(u.Name)
	switch {
	case old != nil && (len(old) < 7 || old[2] != strconv.Itoa(u.UID)):
		return fmt.Errorf("it is there with another number than %d; give it that of the image, or another name", u.UID)
	case old == nil && db.passwd.numbered(u.UID) != "":
		return fmt.Errorf("number %d is %q's; give it another", u.UID, db.passwd.numbered(u.UID))
	}
	if db.group.numbered(u.GID) == "" {
		if err := db.addGroup(u.Name, u.GID); err != nil {
			return err
		}
	}
	for _, group := range u.Groups {
		if db.group.row(group) == nil {
			return fmt.Errorf("the image has no group %q; declare it as a group of this hook", group)
		}
		db.group.join(group, 3, u.Name)
		db.gshadow.join(group, 3, u.Name)
	}
	if old == nil {
		old = []string{4: "", 6: "/bin/sh"}
	}
	db.passwd.set(u.Name, "x", strconv.Itoa(u.UID), strconv.Itoa(u.GID), cmp.Or(u.Comment, old[4]), u.Home, cmp.Or(u.Shell, old[6]))
	db.setPassword(u)
	for _, t := range []*table{db.subuid, db.subgid} {
		if t.there && u.UID != 0 {
			t.delegate(u.Name)
		}
	}
	return nil
}

// setPassword writes the line of shadow(5), in which an empty day of the last
// change never ages. "*" fits no password and, unlike "!", lets keys in.
func (db *userdb) setPassword(u kind.User) {
	row := db.shadow.row(u.Name)
	hash := u.PasswordHash
	switch {
	case row == nil && hash == "":
		hash = "*"
	case row != nil && hash == "":
		return
	}
	db.shadow.set(u.Name, hash, "", "0", "99999", "7", "", "", "")
}

// delegate gives a user a range of numbers for containers, see subuid(5).
func (t *table) delegate(user string) {
	if t.row(user) != nil {
		return
	}
	const first, count = 100000, 65536
	start := first
	for _, row := range t.rows {
		if len(row) < 3 {
			continue
		}
		from, _ := strconv.Atoi(row[1])
		n, _ := strconv.Atoi(row[2])
		start = max(start, from+n)
	}
	t.add(user, strconv.Itoa(start), strconv.Itoa(count))
}

// home makes a user's home, and lets the keys in.
func home(r *Target, u kind.User) error {
	if !r.Exists(u.Home) {
		dir := &layer.Node{Mode: fs.ModeDir | 0o700, UID: u.UID, GID: u.GID, From: r.hook}
		if err := r.AddDir(u.Home, dir); err != nil {
			return err
		}
		if err := skeleton(r, "/etc/skel", u.Home, u.UID, u.GID); err != nil {
			return err
		}
	}
	if len(u.Keys) == 0 {
		return nil
	}
	return userKeys(r, kind.UserKeys{User: u.Name, Home: u.Home, Owner: kind.Owner{UID: u.UID, GID: u.GID}, Keys: u.Keys})
}
