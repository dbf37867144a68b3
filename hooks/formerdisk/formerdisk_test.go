package formerdisk

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/rootfs"
)

// files is an image that has some files, by path.
type files map[string]string

func (f files) Lstat(p string) (rootfs.Stat, error) {
	if _, ok := f[p]; ok {
		return rootfs.Stat{Mode: 0o640, GID: 7}, nil
	}
	for name := range f {
		if p == "/" || strings.HasPrefix(name, p+"/") {
			return rootfs.Stat{Mode: fs.ModeDir | 0o755}, nil
		}
	}
	return rootfs.Stat{}, fs.ErrNotExist
}

func (f files) ReadDir(string) ([]string, error) { return nil, nil }

func (f files) ReadFile(p string, _ int64) ([]byte, error) {
	if text, ok := f[p]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

const gone = "# taken out by gitboot, not on this machine: "

// What the tables of images that were installed on a disk become: a file that
// is as it was is not among the wanted.
func TestFormerDisk(t *testing.T) {
	for name, c := range map[string]struct {
		image, want files
		hooks       []kind.Hook
		warnings    []string
	}{
		"Debian's installer": {
			image: files{"/etc/fstab": "# comment\nUUID=1 / ext4 errors=remount-ro 0 1\nUUID=2 none swap sw 0 0\n/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n",
				"/etc/initramfs-tools/conf.d/resume": "RESUME=UUID=2\n"},
			want: files{"/etc/fstab": "# comment\n" + gone + "UUID=1 / ext4 errors=remount-ro 0 1\n" + gone + "UUID=2 none swap sw 0 0\n/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n",
				"/etc/initramfs-tools/conf.d/resume": "RESUME=none\n"},
		},
		"Ubuntu's cloud image": {
			image: files{"/etc/fstab": "LABEL=cloudimg-rootfs\t/\text4\tdefaults\t0 1\nLABEL=BOOT\t/boot\text4\tdefaults\t0 2\nLABEL=UEFI\t/boot/efi\tvfat\tumask=0077\t0 1\n/swap.img none swap sw 0 0"},
			want:  files{"/etc/fstab": gone + "LABEL=cloudimg-rootfs\t/\text4\tdefaults\t0 1\n" + gone + "LABEL=BOOT\t/boot\text4\tdefaults\t0 2\n" + gone + "LABEL=UEFI\t/boot/efi\tvfat\tumask=0077\t0 1\n" + gone + "/swap.img none swap sw 0 0"},
		},
		"an encrypted one": {
			image: files{"/etc/fstab": "/dev/mapper/vg-root / ext4 defaults 0 1\n/dev/mapper/data /srv ext4 nofail 0 2\n",
				"/etc/crypttab": "sda5_crypt UUID=5 none luks,discard\ndata UUID=6 none luks\nusb LABEL=usb none luks\nlater UUID=7 none luks,nofail\nzap /dev/urandom\n"},
			want: files{"/etc/fstab": gone + "/dev/mapper/vg-root / ext4 defaults 0 1\n/dev/mapper/data /srv ext4 nofail 0 2\n",
				"/etc/crypttab": gone + "sda5_crypt UUID=5 none luks,discard\ndata UUID=6 none luks\nusb LABEL=usb none luks\nlater UUID=7 none luks,nofail\nzap /dev/urandom\n"},
			warnings: []string{"UUID=6 (data)", "LABEL=usb (usb)", "/dev/urandom (zap)"},
		},
		"a disk that may be there": {
			image:    files{"/etc/fstab": "UUID=\"8\" /home ext4 defaults 0 2\nLABEL=data /data xfs nofail 0 0\nnas:/x /nas nfs defaults 0 0\ntmpfs /tmp tmpfs\n/dev/zram0 none swap defaults\n"},
			warnings: []string{"UUID=8 (/home)"},
		},
		"a container's":   {image: files{"/etc/fstab": "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", "/etc/crypttab": "# <target name>\t<source device>\n"}},
		"nothing of this": {image: files{"/etc/os-release": "ID=x\n"}},
		"with an fstab hook": {
			image: files{"/etc/fstab": "UUID=1 / ext4\n", "/etc/crypttab": "home UUID=2\nroot UUID=3\n"},
			hooks: []kind.Hook{{Name: "h", Builtin: &kind.Builtin{Fstab: &kind.Fstab{Mounts: []kind.Mount{{Device: "/dev/mapper/home", Path: "/home", Type: "ext4", Options: "defaults"}}}}}},
			want:  files{"/etc/crypttab": "home UUID=2\n" + gone + "root UUID=3\n"}, warnings: []string{"UUID=2 (home)"},
		},
		"with the file of a hook":  {image: files{"/etc/fstab": "UUID=1 / ext4\n"}, hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/etc/fstab"}}}}},
		"with a hook that removes": {image: files{"/etc/fstab": "UUID=1 / ext4\n"}, hooks: []kind.Hook{{Name: "h", Removes: []string{"/etc/fstab"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := Find(c.image, c.hooks)
			got := files{}
			for _, file := range f.Files {
				got[file.Path] = string(file.Content)
				if file.Mode != 0o640 || file.GID != 7 {
					t.Errorf("%s has mode %o and group %d, not the image's", file.Path, file.Mode, file.GID)
				}
			}
			if c.want == nil {
				c.want = files{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if (f.Key() == "") != (len(c.want) == 0) || len(f.Notes) != len(c.want) || len(f.Warnings) != len(c.warnings) {
				t.Fatalf("key %q, notes %q, warnings %q", f.Key(), f.Notes, f.Warnings)
			}
			for i, want := range c.warnings {
				if !strings.Contains(f.Warnings[i], want) {
					t.Errorf("%q does not say %q", f.Warnings[i], want)
				}
			}
		})
	}
}
