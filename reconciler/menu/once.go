package menu

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// errNoOnce says what a boot loader cannot do.
var errNoOnce = errors.New("the boot loader cannot be asked to boot an entry once; choose it in the boot menu instead")

func (b *Book) asked() (loader.Once, error) {
	l, err := b.loader()
	if err != nil {
		return nil, err
	}
	once, ok := l.(loader.Once)
	if !ok {
		return nil, errNoOnce
	}
	return once, nil
}

// CheckOnce says why the boot loader could not be asked to boot an entry once.
func (b *Book) CheckOnce(ctx context.Context, fs boot.Filesystem) error {
	l, err := b.asked()
	if err != nil {
		return err
	}
	return l.CheckOnce(ctx, fs)
}

// Once returns the id of the entry that the boot loader is asked for once, "" if
// it is not asked for any, or was.
func (b *Book) Once(ctx context.Context, fs boot.Filesystem) (id string, err error) {
	l, err := b.asked()
	if err != nil {
		return "", err
	}
	return l.Once(ctx, fs)
}

// SetOnce asks the boot loader to boot an entry of the menu at the next boot, and
// only then; "" takes that back.
func (b *Book) SetOnce(ctx context.Context, fs boot.Filesystem, id string) error {
	l, err := b.asked()
	if err != nil {
		return err
	}
	return l.SetOnce(ctx, fs, id)
}
