package machine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/stage"
)

// offeredKernel is a kernel that somebody says to have made, whose files have some
// content.
func offeredKernel(t *testing.T, content, key, init string, broken error) image.MadeKernel {
	t.Helper()
	open := func(content string) (objects.File, func(context.Context) (io.ReadCloser, error)) {
		o := objectOf(t, content)
		return objects.File{SHA256: o.SHA256, Size: o.Size}, func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader([]byte(content))), broken
		}
	}
	k := image.MadeKernel{Init: init, Kernel: objects.Kernel{Key: key, Version: "6.1.0-test", Path: "/boot/vmlinuz-6.1.0-test"}}
	k.Kernel.Kernel, k.OpenKernel = open("a kernel " + content)
	k.Initramfs, k.OpenInitramfs = open("an initramfs " + content)
	return k
}

func objectOf(t *testing.T, content string) deployment.Object {
	t.Helper()
	st, err := stage.Create(t.TempDir() + "/stage")
	must(t, err)
	o, err := st.AddFile(t.Context(), strings.NewReader(content))
	must(t, err)
	return o
}

// What others have made of a kernel is taken where it is made of the same as here, and
// else it is made here.
func TestOfferedKernel(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", oneImage)
	layers := h.manifest(t, "plain", 1).Layers
	j, err := h.Look(t.Context(), h.wants(t, "1", oneImage), Request{})
	must(t, err)
	must(t, os.WriteFile(h.Init, []byte("another init"), 0o755)) // so that its initramfs is not known
	j.program.Sum, err = initramfs.Checksum(h.Init)
	must(t, err)
	tree, err := inventory.OpenTree(h.Stage, layers)
	must(t, err)
	defer tree.Close()
	kernel, err := initramfs.FindKernel(tree, "")
	must(t, err)
	key, err := initramfs.Key(tree, kernel, initramfs.Options{Init: h.Init})
	must(t, err)
	ours := ""
	for _, c := range []struct {
		what     string
		key, sum string
		inputs   plan.Inputs
		rebuild  bool
		broken   error
		taken    bool
	}{
		{what: "the same", key: key, taken: true},
		{what: "asked for by its release", key: key, inputs: plan.Inputs{Kernel: "6.1*"}, taken: true},
		{what: "made of other layers", key: strings.Repeat("0", 64)},
		{what: "with another gitboot-init", key: key, sum: "1 00000000 00000000"},
		{what: "a kernel that nobody asked for", key: key, inputs: plan.Inputs{Kernel: "5*"}},
		{what: "for a stage on LVM", key: key, inputs: plan.Inputs{Assembles: []string{deployment.AssembleLVM}}},
		{what: "which cannot be fetched", key: key, broken: errors.New("gone")},
	} {
		if c.sum == "" {
			c.sum = j.program.Sum
		}
		s := &staging{Staging: plan.Staging{Image: "plain", Inputs: c.inputs}, image: &observedImage{opened: &image.Image{Kernels: []image.MadeKernel{offeredKernel(t, c.what, c.key, c.sum, c.broken)}}}}
		start := fetcher{&application{Job: j}}.newHeadStart(t.Context(), s, 1)
		start.complete(t.Context(), 0, h.object(layers[0]))
		start.end()
		taken := s.early != nil && s.early.Initramfs == objectOf(t, "an initramfs "+c.what)
		if taken != c.taken {
			t.Errorf("%s: taken: %v", c.what, taken)
		}
		if s.early != nil && !taken {
			ours = s.early.Initramfs.SHA256
		}
	}
	if ours == "" {
		t.Error("none was made here")
	}
}
