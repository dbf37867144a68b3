package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/tests/lab"
)

// An update is a system before and after all that Debian has made better of it since its
// last point release: kernel, servers and libraries among them. Its images lie in a
// registry of their own, which counts what it sends.
type update struct {
	old, new string // tars
	registry *lab.Registry
	link     *lab.Link
	// changed are the bytes of the files alone that are new or other ones: as a squashfs
	// is packed here, and as one zstd stream.
	changedPacked, changedStream int64
	chunked                      *chunkedUpdate
}

// systemPackages are what the system consists of, besides Debian's essential ones.
const systemPackages = "linux-image-cloud-amd64,systemd-sysv,udev,kmod,openssh-server,git,curl,python3,perl,nginx,vim,bind9,samba,postgresql"

// theUpdate makes it for the first row that asks.
func (s *site) theUpdate(ctx context.Context) (*update, error) {
	if s.update != nil {
		return s.update, nil
	}
	mirror, u := "http://deb.debian.org/debian", &update{link: lab.NewLink()}
	if named := os.Getenv("GITBOOT_MIRROR"); named != "" {
		mirror = named
	}
	before := []string{"deb " + mirror + " bookworm main"}
	after := append(before, "deb "+mirror+" bookworm-updates main", "deb http://deb.debian.org/debian-security bookworm-security main")
	var err error
	if u.old, err = systemTar(ctx, "before", before); err != nil {
		return nil, err
	}
	if u.new, err = systemTar(ctx, "after", after); err != nil {
		return nil, err
	}
	changed := s.path("changed.tar")
	if err := writeChanged(changed, u.old, u.new); err != nil {
		return nil, err
	}
	if u.changedPacked, err = sizeAfter(ctx, s.path("changed.squashfs"), "tar2sqfs -q -f -c zstd -X level=1 %s < "+changed); err != nil {
		return nil, err
	}
	if u.changedStream, err = sizeAfter(ctx, s.path("changed.zst"), "zstd -3 -q -f -o %s "+changed); err != nil {
		return nil, err
	}
	if u.registry, err = lab.NewWatchedRegistry(s.path("counting"), u.link.Watch); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, u.registry.Close)
	s.update = u
	return u, os.Remove(changed)
}

// systemTar makes a system's tar of what these sources have, if the cache has none.
func systemTar(ctx context.Context, name string, sources []string) (string, error) {
	cache, err := lab.CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "system-"+name+".tar")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	temp := path + ".tmp"
	defer os.Remove(temp)
	args := append([]string{"--variant=minbase", "--format=tar", "--quiet", "--aptopt=Acquire::Retries \"3\"",
		"--include=" + systemPackages, "bookworm", temp}, sources...)
	if _, err := lab.Run(ctx, "env", append([]string{"SOURCE_DATE_EPOCH=1700000000", "mmdebstrap"}, args...)...); err != nil {
		return "", err
	}
	return path, os.Rename(temp, path)
}

// sizeAfter is that of a file which a command makes, and which is removed.
func sizeAfter(ctx context.Context, path, command string) (int64, error) {
	if _, err := script(ctx, fmt.Sprintf(command, path)); err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), os.Remove(path)
}

// writeChanged writes the files of one tar that another does not have at the same path
// with the same content.
func writeChanged(path, old, new string) error {
	had, err := contentsOf(old)
	if err != nil {
		return err
	}
	is, err := contentsOf(new)
	if err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = eachFile(new, func(h *tar.Header, r io.Reader) error {
		if had[h.Name] == is[h.Name] {
			return nil
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(w, r)
		return err
	})
	return errors.Join(err, w.Close(), out.Close())
}

// contentsOf are hashes of a tar's files, by path.
func contentsOf(path string) (map[string]string, error) {
	sums := map[string]string{}
	return sums, eachFile(path, func(h *tar.Header, r io.Reader) error {
		sum := sha256.New()
		_, err := io.Copy(sum, r)
		sums[h.Name] = hex.EncodeToString(sum.Sum(nil))
		return err
	})
}

// eachFile gives the regular files of a tar.
func eachFile(path string, do func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = do(h, r)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}
