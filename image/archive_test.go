package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/ulikunitz/xz"
)

func xzed(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := xz.NewWriter(&buf)
	check(t, err)
	_, err = w.Write(data)
	check(t, err)
	check(t, w.Close())
	return buf.Bytes()
}

func openPath(path string) (*Image, error) {
	return OpenArchive(context.Background(), ArchivePlace{Path: path}, quick())
}

// wantLayers checks that an image is made of these tars.
func wantLayers(t *testing.T, img *Image, contents ...[]byte) {
	t.Helper()
	got, err := readLayers(img)
	check(t, err)
	if len(got) != len(contents) {
		t.Fatalf("%d layers, want %d", len(got), len(contents))
	}
	for i := range got {
		if !bytes.Equal(got[i], contents[i]) {
			t.Errorf("layer %d differs", i)
		}
	}
}

func TestRootFSTar(t *testing.T) {
	content := someTar(t, 400_000)
	for name, data := range map[string][]byte{
		"plain": content, "gz": gz(t, content), "zst": zst(t, content), "xz": xzed(t, content),
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, t.TempDir()+"/misnamed.bin", string(data))
			img, err := openPath(path)
			check(t, err)
			if l := img.Layers[0]; img.Digest != sum(data) || l.DiffID != sum(content) || l.Size != int64(len(data)) {
				t.Errorf("opened %+v", img)
			}
			wantLayers(t, img, content)

			// The same out of a config repo, whose files cannot be sought in.
			src := ArchivePlace{Path: "a/root", FS: streams{fstest.MapFS{"a/root": {Data: data}}}, SHA256: sum(data)}
			img, err = OpenArchive(context.Background(), src, quick())
			check(t, err)
			wantLayers(t, img, content)

			src.SHA256 = sum([]byte("else"))
			_, err = OpenArchive(context.Background(), src, quick())
			wantError[*DigestError](t, err, "a/root")

			check(t, os.WriteFile(path, append(bytes.Clone(data[:len(data)-9]), "other eol"...), 0o600))
			img, err = openPath(path)
			if err == nil && img.Digest == sum(data) {
				t.Error("the same digest for other content")
			}
		})
	}
}

// streams hides that a file system's files can do more than be read.
type streams struct{ fs.FS }

func (s streams) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if _, dir := f.(fs.ReadDirFile); dir || err != nil {
		return f, err
	}
	return struct{ fs.File }{f}, nil
}

func TestRootFSTarThatChangesIsNoticed(t *testing.T) {
	content := someTar(t, 400_000)
	path := writeFile(t, t.TempDir()+"/root.tar", string(content))
	img, err := openPath(path)
	check(t, err)
	content[5000] ^= 1
	check(t, os.WriteFile(path, content, 0o600))
	_, err = readLayer(context.Background(), img.Layers[0])
	wantError[*DigestError](t, err, path)
}

func TestNotAnArchive(t *testing.T) {
	content := someTar(t, 50_000)
	for name, data := range map[string][]byte{
		"empty":     {},
		"text":      bytes.Repeat([]byte("hello world\n"), 100),
		"zeros":     make([]byte, 10240),
		"truncated": gz(t, content)[:9000],
		"bzip2":     []byte("BZh91AY&SY and so on"),
		"gzip text": gz(t, []byte("hello")),
	} {
		_, err := openPath(writeFile(t, t.TempDir()+"/x", string(data)))
		if err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	_, err := openPath(t.TempDir())
	wantWords(t, err, "no OCI layout")
	_, err = openPath("relative/path")
	wantWords(t, err, "neither absolute")
	_, err = openPath("/dev/null")
	wantWords(t, err, "not a regular file")
}

// tarOf packs a folder, the names in it beginning with "./".
func tarOf(t *testing.T, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	check(t, w.AddFS(os.DirFS(dir)))
	check(t, w.Close())
	return buf.Bytes()
}

func TestOCILayout(t *testing.T) {
	lower, upper := someTar(t, 300_000), someTar(t, 2000)
	img := imageOf(t, layerOf(zst(t, lower), lower, types.OCILayerZStd), layerOf(gz(t, upper), upper, types.OCILayer))
	want, err := img.Digest()
	check(t, err)
	dir := t.TempDir()
	p, err := ocilayout.Write(dir, empty.Index)
	check(t, err)
	check(t, p.AppendImage(img))

	packed := tarOf(t, dir)
	tmp := t.TempDir()
	for name, src := range map[string]ArchivePlace{
		"folder":            {Path: dir},
		"folder in repo":    {Path: ".", FS: streams{os.DirFS(dir)}},
		"tar":               {Path: writeFile(t, tmp+"/a", string(packed))},
		"tar.gz":            {Path: writeFile(t, tmp+"/b", string(gz(t, packed))), SHA256: sum(gz(t, packed))},
		"tar in repo":       {Path: "x/y", FS: streams{fstest.MapFS{"x/y": {Data: packed}}}},
		"tar.xz, in memory": {Path: "x/y", FS: fstest.MapFS{"x/y": {Data: xzed(t, packed)}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := OpenArchive(context.Background(), src, quick())
			check(t, err)
			if got.Digest != want.String() || got.Labels["made"] != "for amd64" {
				t.Errorf("opened %+v", got)
			}
			wantLayers(t, got, lower, upper)
		})
	}
	t.Run("damaged", func(t *testing.T) {
		blob := filepath.Join(dir, "blobs/sha256", sum(zst(t, lower))[7:])
		check(t, os.WriteFile(blob, zst(t, upper), 0o600))
		got, err := openPath(dir)
		check(t, err)
		_, err = readLayers(got)
		wantError[*DigestError](t, err, "blob sha256:")
	})
	t.Run("false sha256", func(t *testing.T) {
		_, err := OpenArchive(context.Background(), ArchivePlace{Path: tmp + "/a", SHA256: sum(nil)}, quick())
		wantError[*DigestError](t, err, "the file")
	})
	t.Run("several images", func(t *testing.T) {
		check(t, p.AppendImage(imageOf(t), ocilayout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "second"})))
		_, err := openPath(dir)
		wantError[*UnsupportedError](t, err, "several images", "second")
	})
}

func TestOCILayoutWithPlatforms(t *testing.T) {
	dir := t.TempDir()
	_, err := ocilayout.Write(dir, indexOf(t, "linux/amd64", "linux/arm64"))
	check(t, err)
	img, err := openPath(dir)
	check(t, err)
	if img.Labels["made"] != "for amd64" {
		t.Errorf("opened %+v", img)
	}
	opts := quick()
	opts.Platform = "linux/s390x"
	_, err = OpenArchive(context.Background(), ArchivePlace{Path: dir}, opts)
	wantError[*PlatformError](t, err, "linux/amd64, linux/arm64")
}

func TestLayoutStaysInItsFolder(t *testing.T) {
	dir := t.TempDir()
	_, err := ocilayout.Write(dir, indexOf(t, "linux/amd64"))
	check(t, err)
	moved := writeFile(t, t.TempDir()+"/index.json", "{}")
	check(t, os.Remove(dir+"/index.json"))
	check(t, os.Symlink(moved, dir+"/index.json"))
	_, err = openPath(dir)
	wantWords(t, err, "escapes")
}

func TestDockerSave(t *testing.T) {
	lower, upper := someTar(t, 300_000), someTar(t, 2000)
	img := imageOf(t, layerOf(gz(t, lower), lower, types.DockerLayer), layerOf(gz(t, upper), upper, types.DockerLayer))
	path := t.TempDir() + "/saved"
	ref, err := name.NewTag("example/app:1")
	check(t, err)
	check(t, tarball.WriteToFile(path, ref, img))
	id, err := img.ConfigName()
	check(t, err)
	got, err := openPath(path)
	check(t, err)
	if got.Digest != id.String() || got.Labels["made"] != "for amd64" {
		t.Errorf("opened %+v, want %s", got, id)
	}
	wantLayers(t, got, lower, upper)

	other, err := name.NewTag("example/other:2")
	check(t, err)
	check(t, tarball.MultiWriteToFile(path, map[name.Tag]v1.Image{ref: img, other: imageOf(t)}))
	_, err = openPath(path)
	wantError[*UnsupportedError](t, err, "example/app:1", "example/other:2")
}

// podman's archives hold plain layers behind symbolic links.
func TestDockerSaveWithLinksAndFalseLayers(t *testing.T) {
	content := someTar(t, 3000)
	config, err := imageOf(t, layerOf(content, content, types.DockerUncompressedLayer)).RawConfigFile()
	check(t, err)
	for _, stored := range [][]byte{content, someTar(t, 3001)} {
		dir := t.TempDir()
		writeFile(t, dir+"/manifest.json", `[{"Config": "c.json", "Layers": ["abc/layer.tar"]}]`)
		writeFile(t, dir+"/c.json", string(config))
		writeFile(t, dir+"/data.tar", string(stored))
		check(t, os.Mkdir(dir+"/abc", 0o700))
		check(t, os.Symlink("../data.tar", dir+"/abc/layer.tar"))
		img, err := openPath(writeFile(t, t.TempDir()+"/saved", string(tarOf(t, dir))))
		check(t, err)
		if bytes.Equal(stored, content) {
			wantLayers(t, img, content)
			continue
		}
		_, err = readLayers(img)
		wantError[*DigestError](t, err, "layer sha256:")
	}
}
