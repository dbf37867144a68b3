package copies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/durable"
)

// unified returns the program of an entry, none if the stage lacks what it is made of.
// It has the time of what is newest in that.
func unified(f Folder, stage boot.Filesystem, e boot.Entry) ([]object, error) {
	image, err := f.Unify(stage, e)
	if err != nil {
		return nil, err
	}
	o := object{name: image.Name(), what: "write the boot image of entry " + e.ID}
	for _, p := range []string{image.Kernel.File, image.Initrd.File} {
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if info.ModTime().After(o.modified) {
			o.modified = info.ModTime()
		}
	}
	if o.size, err = image.Size(); err != nil {
		return nil, fmt.Errorf("boot image of entry %s: %w", e.ID, err)
	}
	o.whole = func(file string) (bool, error) { return image.Check(file) == nil, nil }
	o.make = func(ctx context.Context) (*durable.File, error) {
		out, err := durable.Create(f.Dir, 0o600)
		if err != nil {
			return nil, err
		}
		if err := image.Write(ctx, out.File); err != nil {
			out.Discard()
			return nil, err
		}
		return out, nil
	}
	return []object{o}, nil
}
