package copies

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/internal/durable"
)

// least is less than any kernel and initramfs together: that of process 1 alone
// takes a megabyte.
const least = 4e6

// Check reports why the folder, which need not be there, could take no copies.
func (f Folder) Check() error {
	dir := f.there()
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("write into %s: %w; is its file system mounted read-only?", dir, err)
	}
	room, err := durable.Room(dir, 0)
	if err != nil {
		return err
	}
	copied, err := f.surplus(boot.Menu{})
	if room += f.size(copied); err == nil && room < least {
		err = &loader.NoRoomError{Dir: f.Dir, Need: least, Free: room}
	}
	return err
}

// there is the folder or, before it is made, the one that it will be in.
func (f Folder) there() string {
	if _, err := os.Stat(f.Dir); err != nil {
		return filepath.Dir(f.Dir)
	}
	return f.Dir
}

// A work is what is to be done to the copies for a menu.
type work struct {
	// older are copies that are well, and of another time than their objects.
	lacking, older []object
	surplus        []string
	// first is what has to be written before, so that there is room; short says
	// that there is too little in any case.
	first *boot.Menu
	short error
}

func (f Folder) work(m boot.Menu) (w work, err error) {
	objects, err := f.objects(m)
	if err != nil {
		return w, err
	}
	var need int64
	for _, o := range objects {
		switch {
		case o.missing, o.damaged:
			w.lacking = append(w.lacking, o)
			need += o.size
		case o.otherTime:
			w.older = append(w.older, o)
		}
	}
	if w.surplus, err = f.surplus(m); err != nil || need == 0 {
		return w, err
	}
	room, err := durable.Room(f.there(), 0)
	if err != nil || need <= room {
		return w, err
	}
	if need <= room+f.size(w.surplus) {
		if w.first, err = f.common(m, w.lacking); err != nil {
			return w, err
		}
	}
	if w.first == nil {
		w.short = &loader.NoRoomError{Dir: f.Dir, Need: need, Free: room}
	}
	return w, nil
}

func (f Folder) size(names []string) (sum int64) {
	for _, name := range names {
		if info, err := os.Stat(f.path(name)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// common is the menu of the entries that lack nothing, nil if an image has none.
func (f Folder) common(m boot.Menu, lacking []object) (*boot.Menu, error) {
	lacks := map[string]bool{}
	for _, o := range lacking {
		lacks[o.name] = true
	}
	var failed error
	first := with(m, func(e boot.Entry) (boot.Entry, bool) {
		names, err := f.namesOf(m.Stage, e)
		failed = errors.Join(failed, err)
		return e, !slices.ContainsFunc(names, func(name string) bool { return lacks[name] })
	})
	if failed != nil || len(first.Images) < len(m.Images) {
		return nil, failed
	}
	first.Choose(m.Default, m.Fallback)
	return &first, nil
}
