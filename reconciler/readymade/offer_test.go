package readymade

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/stage"
)

// A machine that makes initramfs itself tells of one that was published, is said to be
// made of the same and is something else.
func TestCompareKernel(t *testing.T) {
	key := strings.Repeat("1", 64)
	k := image.MadeKernel{Kernel: objects.Kernel{
		Key: key, Version: "6.1.0-test",
		Kernel: objects.File{SHA256: strings.Repeat("2", 64), Size: 2}, Initramfs: objects.File{SHA256: strings.Repeat("3", 64), Size: 3},
	}}
	same := recordOf(k)
	kernel, initramfs := same, same
	kernel.Kernel.SHA256, initramfs.Initramfs.SHA256 = strings.Repeat("4", 64), strings.Repeat("4", 64)
	for what, c := range map[string]struct {
		key  string
		ours stage.KernelRecord
		told string
	}{
		"the same":               {key, same, ""},
		"made of something else": {strings.Repeat("5", 64), initramfs, ""},
		"another kernel":         {key, kernel, "kernel 6.1.0-test: what was published is object 222222222222"},
		"another initramfs":      {key, initramfs, "initramfs 6.1.0-test: what was published is object 333333333333"},
	} {
		err := CompareKernel([]image.MadeKernel{k}, c.key, c.ours)
		if (err == nil) != (c.told == "") || err != nil && !strings.HasPrefix(err.Error(), c.told) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
