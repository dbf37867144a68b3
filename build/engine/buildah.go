package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/program"
)

// BuildahOptions says where buildah or podman works.
type BuildahOptions struct {
	// Dir holds its images and its cache. Nothing else may use it.
	Dir string
	// RunDir is for what ends with this system's run, "" for /run/gitboot.
	RunDir string
}

// Buildah builds with Debian's buildah, which needs no daemon, or with podman,
// which shares its code and the form of its store.
type Buildah struct {
	dialect
	root, runRoot, temp string
	driver              string
}

// NewBuildah opens buildah's store. It is made when it is first needed.
func NewBuildah(opts BuildahOptions) (*Buildah, error) { return newBuildah(buildahDialect(), opts) }

func newBuildah(d dialect, opts BuildahOptions) (*Buildah, error) {
	dir, err := filepath.Abs(filepath.Join(opts.Dir, d.program))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(dir))
	run := opts.RunDir
	if run == "" {
		run = "/run/gitboot"
	}
	b := &Buildah{dialect: d, root: filepath.Join(dir, "store"), runRoot: filepath.Join(run, d.program+"-"+hex.EncodeToString(sum[:6])), temp: filepath.Join(dir, "tmp")}
	b.driver = driver(b.root)
	return b, nil
}

// make makes the store's folders.
func (b *Buildah) make() error {
	for _, d := range []string{filepath.Dir(b.root), b.root, b.runRoot, b.temp} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make %s's folder: %w", b.program, err)
		}
	}
	return nil
}

// driver chooses how layers are stored: by overlayfs, unless the folder is
// itself on one, where the kernel allows no other.
func driver(dir string) string {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	for errors.Is(err, unix.ENOENT) && dir != "/" { // the store is not made yet
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &st)
	}
	if err == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "vfs"
	}
	return "overlay"
}

// Name implements Engine.
func (b *Buildah) Name() string { return b.program }

// A RootError says that an engine works for root alone.
type RootError struct{ Engine string }

func (e *RootError) Error() string {
	return fmt.Sprintf("engine %s: only root can build with it: files of an image belong to many users, and an ordinary one could not read them back; run gitboot as root, or use the engine buildkit with a builder that runs by itself", e.Engine)
}

// Check implements Engine.
func (b *Buildah) Check(context.Context) error {
	if os.Geteuid() != 0 {
		return &RootError{b.program}
	}
	for name, pkg := range map[string]string{b.program: b.program, "unshare": "util-linux"} {
		if _, err := program.Find(name); err != nil {
			return &MissingError{b.program, name, pkg}
		}
	}
	return nil
}

func (b *Buildah) command(args ...string) command {
	return command{
		args: slices.Concat([]string{b.program, "--root", b.root, "--runroot", b.runRoot, "--storage-driver", b.driver}, b.flags(b.runRoot), args),
		env:  append(program.Proxies(), "PATH="+program.Path, "HOME="+b.temp, "TMPDIR="+b.temp, "XDG_RUNTIME_DIR="+b.runRoot, "LANG=C.UTF-8"),
	}
}

// output runs the program in a folder and returns what it prints.
func (b *Buildah) output(ctx context.Context, dir string, args ...string) (string, error) {
	if err := b.make(); err != nil {
		return "", err
	}
	var out bytes.Buffer
	c := b.command(args...)
	c.dir, c.out = dir, &out
	err := c.run(ctx)
	return strings.TrimSpace(out.String()), err
}

// Clean implements Engine.
func (b *Buildah) Clean(ctx context.Context) error {
	if err := b.removeContainers(ctx, b); err != nil {
		return fmt.Errorf("remove %s's working containers: %w", b.program, err)
	}
	left, err := os.ReadDir(b.temp)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), cacheMounts) {
			continue // of whole builds, and for the next ones
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(b.temp, e.Name())))
	}
	return err
}

// Import implements Engine.
func (b *Buildah) Import(ctx context.Context, layout string) (Image, error) {
	// Buildah names the image after the path that it is given, and names are in
	// lower case: it is given one below the working directory.
	id, err := b.output(ctx, filepath.Dir(layout), slices.Concat(b.pull, []string{"oci:" + filepath.Base(layout)})...)
	if err != nil {
		return Image{}, fmt.Errorf("import the base into %s's store: %w", b.program, explainFull(b.root, err))
	}
	return b.Image(ctx, id)
}

// Image implements Engine.
func (b *Buildah) Image(ctx context.Context, id string) (Image, error) {
	id = strings.TrimPrefix(strings.TrimSpace(id), "sha256:")
	top, config, err := b.stored(id)
	if err != nil {
		return Image{}, err
	}
	return b.image(id, top, config)
}

// inherited is what of a configuration a child's steps depend on.
type inherited struct {
	Config struct {
		Env                       []string
		User, WorkingDir          string
		Shell, Entrypoint, Volume []string
		OnBuild                   []string
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// contentOf hashes what a child can tell of its base.
func contentOf(config []byte) (content, digest string, diffIDs []string, err error) {
	var c inherited
	if err := json.Unmarshal(config, &c); err != nil {
		return "", "", nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	all, err := json.Marshal(c)
	layers, err2 := json.Marshal(c.RootFS.DiffIDs)
	return sha256Text(all), sha256Text(layers), c.RootFS.DiffIDs, errors.Join(err, err2)
}

func sha256Text(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
