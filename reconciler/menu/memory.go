package menu

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// errForgets says what a boot loader cannot do.
var errForgets = errors.New("the boot loader remembers nothing from one boot to the next")

// Memory finds what the boot loader remembers from one boot to the next. The error
// says why it could not: nothing is counted then, or booted once.
func (b *Book) Memory(ctx context.Context, fs boot.Filesystem) (loader.Memory, error) {
	l, err := b.loader(declared(b))
	if err != nil {
		return nil, err
	}
	return memoryOf(ctx, l, fs)
}

func memoryOf(ctx context.Context, l loader.Loader, fs boot.Filesystem) (loader.Memory, error) {
	counting, ok := l.(loader.Counting)
	if !ok {
		return nil, errForgets
	}
	return counting.Memory(ctx, fs)
}
