package diskimage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/gitboot/gitboot/disk"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// What of a stage goes onto the disk, and which folders are there with nothing in
// them.
var (
	copied  = []string{"objects", "layers", "kernels", "deployments", "boot", "trees", "secrets", "lock"}
	emptied = []string{"tmp", "boots", "workshop"}
)

// stageTree is what of the stage in dir goes onto the disk.
func stageTree(dir string, document []byte) (t disk.Tree, err error) {
	t.Folders = append(t.Folders, tree.Folder{Path: stagePath, Mode: 0o700})
	for _, name := range emptied {
		t.Folders = append(t.Folders, tree.Folder{Path: path.Join(stagePath, name), Mode: 0o700})
	}
	t.Files = append(t.Files, tree.File{Path: path.Join(stagePath, "workshop", "lock"), Mode: 0o600})
	for _, name := range copied {
		if err := add(&t, dir, name); err != nil {
			return t, err
		}
	}
	t.Files = append(t.Files, tree.File{Path: path.Join(stagePath, "state.json"), Text: document, Mode: 0o600})
	return t, nil
}

// add adds all below a name, in order.
func add(t *disk.Tree, dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, name), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		to := path.Join(stagePath, filepath.ToSlash(rel))
		switch {
		case d.IsDir():
			t.Folders = append(t.Folders, tree.Folder{Path: to, Mode: info.Mode().Perm()})
		case info.Mode().IsRegular():
			t.Files = append(t.Files, tree.File{Path: to, Source: file, Size: info.Size(), Mode: info.Mode().Perm()})
		}
		return nil
	})
}

// grubTree is what a reconcile has left in GRUB's folder: its menu's link and, where
// GRUB cannot write on the stage, its block.
func grubTree(dir string) (t disk.Tree, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		t.Files = append(t.Files, tree.File{Path: filepath.ToSlash(rel), Text: text, Mode: 0o644})
		return err
	})
	return t, err
}

// portable is a machine's document without what is of this computer, as it is saved.
func portable(doc *state.Machine, temp string) ([]byte, error) {
	doc.Init, doc.Written, doc.Drift, doc.Boot = state.Summed{}, nil, nil, ""
	for _, img := range doc.Images {
		img.Origin.Fingerprint = ""
	}
	dir, err := os.MkdirTemp(temp, "state-")
	if err != nil {
		return nil, err
	}
	if err := doc.Save(dir, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(stage.Layout(dir).StateFile())
}
