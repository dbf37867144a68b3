package layer

import (
	"fmt"
	"io/fs"

	"github.com/gitboot/gitboot/hooks/kind"
)

// Files puts files and links of a hook into the layer.
func (t *Tree) Files(hook string, files []kind.File) error {
	for _, f := range files {
		n, err := fileNode(f)
		if err != nil {
			return err
		}
		n.From = hook
		if err := t.Add(f.Path, n); err != nil {
			return err
		}
	}
	return nil
}

// Dirs puts folders of a hook into the layer.
func (t *Tree) Dirs(hook string, dirs []kind.Dir) error {
	for _, d := range dirs {
		if d.Mode == 0 {
			if _, err := t.Lead(d.Path, hook); err != nil {
				return err
			}
			continue
		}
		n := &Node{Mode: fs.ModeDir | goMode(d.Mode), UID: d.UID, GID: d.GID, From: hook}
		if err := t.AddDir(d.Path, n); err != nil {
			return err
		}
	}
	return nil
}

func fileNode(f kind.File) (*Node, error) {
	n := &Node{UID: f.UID, GID: f.GID}
	switch {
	case f.UID < 0 || f.GID < 0:
		return nil, fmt.Errorf("file %s has owner %d:%d; ids are not negative", f.Path, f.UID, f.GID)
	case f.Link != "" && len(f.Content) > 0:
		return nil, fmt.Errorf("file %s has both content and a link target; keep one", f.Path)
	case f.Link != "":
		n.Mode, n.Link = fs.ModeSymlink|0o777, f.Link
		return n, checkTarget(f.Path, f.Link)
	case f.Mode == 0:
		n.Mode = 0o644
	default:
		n.Mode = goMode(f.Mode)
	}
	if n.Mode.Type() != 0 {
		return nil, fmt.Errorf("file %s has mode %s; want permission bits such as 0644", f.Path, f.Mode)
	}
	n.Content = f.Content
	return n, nil
}

// goMode accepts the octal form of setuid, setgid and sticky.
func goMode(m fs.FileMode) fs.FileMode {
	for octal, bit := range map[fs.FileMode]fs.FileMode{
		0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky,
	} {
		if m&octal != 0 {
			m = m&^octal | bit
		}
	}
	return m
}
