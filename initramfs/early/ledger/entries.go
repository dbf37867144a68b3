package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/boot/sdboot/counter"
	"github.com/gitboot/gitboot/internal/durable"
)

// endCount takes the count out of an entry's name, if it has one.
func endCount(dir, entry string) error {
	return rename(dir, entry, func(n counter.Name) counter.Name { return counter.Name{ID: n.ID, Ext: n.Ext} })
}

// useUp has the boot loader take any other entry before this one.
func useUp(dir, entry string) error {
	return rename(dir, entry, func(n counter.Name) counter.Name {
		return counter.Name{ID: n.ID, Ext: n.Ext, Counted: true, Done: n.Done}
	})
}

// rename changes the names of an entry: there is more than one only where a power cut
// has left so many.
func rename(dir, entry string, to func(counter.Name) counter.Name) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("finding the boot loader's entries: %w", err)
	}
	found := false
	for _, f := range files {
		n, ok := counter.Parse(f.Name(), counter.Entry)
		if !ok || n.ID != entry {
			continue
		}
		found = true
		if next := to(n); next != n {
			err = errors.Join(err, os.Rename(filepath.Join(dir, n.String()), filepath.Join(dir, next.String())))
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("renaming the boot loader's entry: %w", err)
	case !found:
		return nil // the menu is another by now
	}
	return durable.SyncDir(dir)
}
