package builtin

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/hooks/layer"
	"github.com/gitboot/gitboot/rootfs"
)

// A table is a file of lines whose fields colons separate, such as passwd(5).
type table struct {
	path string
	// there: the machine has the file, as stat says.
	there bool
	stat  rootfs.Stat
	rows  [][]string
}

// readTable reads a file of the machine; one that is missing is empty.
func readTable(t *layer.Tree, p string) (*table, error) {
	out := &table{path: p, stat: rootfs.Stat{Mode: 0o644}}
	real, err := t.Follow(p)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	if out.stat, err = t.At(real); err != nil {
		return nil, err
	}
	data, err := t.Read(real)
	if err != nil {
		return nil, err
	}
	out.path, out.there = real, true
	for line := range strings.Lines(string(data)) {
		out.rows = append(out.rows, strings.Split(strings.TrimRight(line, "\n"), ":"))
	}
	return out, nil
}

// row returns the line whose first field is name, or nil.
func (t *table) row(name string) []string {
	for _, row := range t.rows {
		if row[0] == name {
			return row
		}
	}
	return nil
}

// numbered returns the name of the line whose third field is id, or "".
func (t *table) numbered(id int) string {
	for _, row := range t.rows {
		if len(row) > 2 && row[2] == strconv.Itoa(id) {
			return row[0]
		}
	}
	return ""
}

func (t *table) add(fields ...string) { t.rows = append(t.rows, fields) }

// set puts the line of that name in place of the one there is.
func (t *table) set(fields ...string) {
	for i, row := range t.rows {
		if row[0] == fields[0] {
			t.rows[i] = fields
			return
		}
	}
	t.add(fields...)
}

// join adds a member to the list in a line's field.
func (t *table) join(name string, field int, member string) {
	row := t.row(name)
	if len(row) <= field {
		return
	}
	members := strings.FieldsFunc(row[field], func(c rune) bool { return c == ',' })
	if !slices.Contains(members, member) {
		row[field] = strings.Join(append(members, member), ",")
	}
}

func (t *table) content() []byte {
	var b strings.Builder
	for _, row := range t.rows {
		b.WriteString(strings.Join(row, ":") + "\n")
	}
	return []byte(b.String())
}

// A userdb is the users and groups of a machine.
type userdb struct {
	passwd, group, shadow, gshadow, subuid, subgid *table
}

func readUsers(t *layer.Tree) (*userdb, error) {
	db := &userdb{}
	for p, into := range map[string]**table{
		"/etc/passwd": &db.passwd, "/etc/group": &db.group, "/etc/shadow": &db.shadow,
		"/etc/gshadow": &db.gshadow, "/etc/subuid": &db.subuid, "/etc/subgid": &db.subgid,
	} {
		var err error
		if *into, err = readTable(t, p); err != nil {
			return nil, fmt.Errorf("read the image's users: %w", err)
		}
	}
	if !db.shadow.there {
		db.shadow.stat.Mode = 0o600
		if row := db.group.row("shadow"); len(row) > 2 {
			db.shadow.stat.GID, _ = strconv.Atoi(row[2])
			db.shadow.stat.Mode = 0o640
		}
	}
	return db, nil
}

// writeUsers puts the tables into the layer, those that were there or have to be.
func writeUsers(r *Target, db *userdb) error {
	for _, t := range []*table{db.passwd, db.group, db.shadow, db.gshadow, db.subuid, db.subgid} {
		if !t.there && (t == db.gshadow || t == db.subuid || t == db.subgid) {
			continue
		}
		content := t.content()
		n := &layer.Node{Mode: t.stat.Mode, UID: t.stat.UID, GID: t.stat.GID, Content: content, From: r.hook}
		if err := r.Add(t.path, n); err != nil {
			return err
		}
	}
	return nil
}

// skeleton fills a new home with what /etc/skel has.
func skeleton(r *Target, from, home string, uid, gid int) error {
	names, err := r.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		p := path.Join(from, name)
		st, err := r.Look(p)
		if err != nil {
			return err
		}
		n := &layer.Node{Mode: st.Mode, UID: uid, GID: gid, Link: st.Link, From: r.hook}
		switch st.Mode.Type() {
		case fs.ModeDir:
			if err = r.AddDir(path.Join(home, name), n); err == nil {
				err = skeleton(r, p, path.Join(home, name), uid, gid)
			}
		case 0:
			if n.Content, err = r.Read(p); err == nil {
				err = r.Add(path.Join(home, name), n)
			}
		case fs.ModeSymlink:
			err = r.Add(path.Join(home, name), n)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", p, err)
		}
	}
	return nil
}
