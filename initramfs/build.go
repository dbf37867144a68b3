package initramfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gitboot/gitboot/initramfs/processor"
	"github.com/gitboot/gitboot/rootfs"
)

// format changes whenever Build would make other bytes of the same input, so
// that kept initramfs are made anew.
const format = "gitboot-initramfs 2"

// IndexPath is where process 1 finds its list of modules.
const IndexPath = "gitboot-modules"

// Options are what decides an initramfs besides the kernel.
type Options struct {
	// Init is the path of the gitboot-init program on this machine, of the kernel's
	// architecture (processor.Program).
	Init string
	// Modules are names of kernel modules to carry besides the generic set,
	// with all that they need.
	Modules []string
	// Verity carries what layers are verified with.
	Verity bool
	// Medium carries what finds a stage on a CD.
	Medium bool
	// Assembles are the kinds of devices, as deployment.Assembly has them, that are put
	// together on the way to the stage.
	Assembles []string
	// Recovery makes it a recovery entry's, nil one for images.
	Recovery *Recovery
}

// Stats tell what was built.
type Stats struct {
	Modules     int
	Bytes       int64
	Compression string
}

// Key returns a hash of everything that decides what Build makes. It reads no
// content of the image: a layer's file name stands for what is in it.
func Key(t *rootfs.Tree, k Kernel, o Options) (string, error) {
	from, err := origins(t, k, o)
	if err != nil {
		return "", err
	}
	init, err := Checksum(o.Init)
	if err != nil {
		return "", fmt.Errorf("reading the init program: %w", err)
	}
	extra := slices.Clone(o.Modules)
	slices.Sort(extra)
	decide := []any{format, k, from, init, extra}
	if o.Verity {
		decide = append(decide, "verity")
	}
	if o.Medium {
		decide = append(decide, "medium")
	}
	if len(o.Assembles) > 0 {
		decide = append(decide, o.Assembles)
	}
	if o.Recovery != nil {
		decide = append(decide, o.Recovery.decides())
	}
	data, err := json.Marshal(decide)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// origins names the layers that decide each path that Build reads.
func origins(t *rootfs.Tree, k Kernel, o Options) (map[string][]string, error) {
	paths := append(configPaths(k), k.Path)
	for _, f := range features(o) {
		paths = append(paths, f.paths...)
	}
	for _, dir := range moduleDirs {
		paths = append(paths, path.Join(dir, k.Version))
	}
	out := make(map[string][]string)
	for _, p := range paths {
		n, err := t.Lookup(p)
		if isNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[p] = t.Origins(n)
	}
	return out, nil
}

// Checksum tells two builds of a program apart. It need not withstand malice,
// only be quick: it is computed on every reconcile.
func Checksum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	ieee, castagnoli := crc32.NewIEEE(), crc32.New(crc32.MakeTable(crc32.Castagnoli))
	// Without its WriteTo, so that the buffer is used.
	n, err := io.CopyBuffer(io.MultiWriter(ieee, castagnoli), struct{ io.Reader }{f}, make([]byte, 64<<10))
	return fmt.Sprintf("%d %08x %08x", n, ieee.Sum32(), castagnoli.Sum32()), err
}

// Build writes the initramfs for kernel k.
func Build(ctx context.Context, t *rootfs.Tree, k Kernel, o Options, w io.Writer) (Stats, error) {
	if err := checkArchitecture(t, k, o.Init); err != nil {
		return Stats{}, err
	}
	config, err := readConfig(t, k)
	if err != nil {
		return Stats{}, err
	}
	if err := config.check(features(o), k.Version); err != nil {
		return Stats{}, err
	}
	set, err := openModules(t, k)
	if err != nil {
		return Stats{}, err
	}
	chosen, err := set.choose(ctx, k.Version, features(o), o.Modules)
	if err != nil {
		return Stats{}, err
	}
	if config == nil {
		if err := set.checkSquashfs(k.Version); err != nil {
			return Stats{}, err
		}
	}
	files, err := contents(t, chosen, k, o)
	if err != nil {
		return Stats{}, err
	}
	stats := Stats{Modules: len(chosen.taken), Compression: config.compression(k.Version)}
	count := &counter{w: w}
	if err := first(ctx, t, features(o), count); err != nil {
		return Stats{}, fmt.Errorf("writing the initramfs of kernel %s: %w", k.Version, err)
	}
	if err := pack(ctx, files, stats.Compression, count); err != nil {
		return Stats{}, fmt.Errorf("writing the initramfs of kernel %s: %w", k.Version, err)
	}
	stats.Bytes = count.n
	return stats, nil
}

// first writes the archive that comes before the compressed one, if anything is in it.
func first(ctx context.Context, t *rootfs.Tree, all []feature, w io.Writer) error {
	a := newArchive()
	for _, f := range all {
		if f.early == nil {
			continue
		}
		if err := f.early(t, a); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if len(a.entries) == 0 {
		return nil
	}
	return a.write(ctx, w)
}

// checkArchitecture refuses a gitboot-init that a kernel could not execute.
func checkArchitecture(t *rootfs.Tree, k Kernel, init string) error {
	file, err := t.OpenFile(k.Path)
	if err != nil {
		return fmt.Errorf("open kernel %s: %w", k.Path, err)
	}
	defer file.Close()
	want, err := processor.OfKernel(file)
	if err != nil || want == "" {
		return err
	}
	have, err := processor.OfProgram(init)
	if err != nil {
		return fmt.Errorf("reading the init program: %w", err)
	}
	if have == "" || have == want {
		return nil
	}
	return fmt.Errorf("kernel %s is for %s, and the machine is %s; declare arch = %q for the machine, or take an image for %s", k.Path, want, have, want, have)
}

// contents lists the initramfs's files.
func contents(t *rootfs.Tree, chosen *closure, k Kernel, o Options) (*archive, error) {
	init, err := os.ReadFile(o.Init)
	if err != nil {
		return nil, fmt.Errorf("reading the init program: %w", err)
	}
	dir := path.Join("lib/modules", k.Version)
	a := newArchive()
	a.file("init", 0o755, init)
	a.file(IndexPath, 0o644, chosen.index("/"+dir).Encode())
	for _, m := range chosen.modules() {
		a.stream(path.Join(dir, m.path), 0o644, m.size, m.write)
	}
	if err := addFirmware(t, a, chosen.modules()); err != nil {
		return nil, err
	}
	for _, f := range features(o) {
		if f.add == nil {
			continue
		}
		if err := f.add(t, a); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return a, nil
}

// pack compresses the archive.
func pack(ctx context.Context, a *archive, compression string, w io.Writer) error {
	var z io.WriteCloser
	var err error
	if compression == "zstd" {
		// measured on a generic kernel: the next better level saves 6 % and
		// takes twice as long
		z, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(8<<20))
	} else {
		z, err = gzip.NewWriterLevel(w, 6)
	}
	if err != nil {
		return err
	}
	if err := a.write(ctx, z); err != nil {
		return err
	}
	return z.Close()
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
