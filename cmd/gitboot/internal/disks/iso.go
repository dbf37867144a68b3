package disks

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/iso"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/diskimage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/unattended"
)

const isoLong = `iso makes a medium that boots a machine's images and installs the machine: for a CD, or
for a stick, onto which it is written byte for byte (gitboot disk write). BIOS and UEFI
start it. Of an IMAGE, which no machine is called like, it boots that image alone, as it
is, without hooks; there is nothing that it could install. Its menu has each image, from
the medium or copied into memory first, and an entry that installs the machine on a
disk, which takes neither network nor config repo.
Nothing on this computer changes, and it needs neither root nor loop devices. The same
revision, images and gitboot give the same bytes.

The disk that is installed is as gitboot disk image makes it, of --size or as large as
it has to be; the last partition takes in what the disk has besides, if it is declared
to grow.

Where the machine declares secure_boot = true what is installed is signed, and the keys
are where gitboot disk image has them; the key that signs is on the medium, too, unless
there is --without-signing-key. The medium itself is not signed: it starts where Secure
Boot is off or the firmware in setup mode, as it has to be for --enroll.

Secrets of its hooks are opened as by gitboot disk image, and are on the medium.

With --answers FILE the medium installs by itself, some seconds after it was started:
the file says which disk is meant, and that all on it may be lost (gitboot install). How
else answers are found, --how says: at a URL, or in a cloud's user data.`

const isoExamples = `  gitboot disk iso laptop -o laptop.iso
  gitboot disk iso desktop -o desktop.iso
  gitboot disk iso laptop -o laptop.iso --answers install.toml
  gitboot disk iso laptop -o laptop.iso --without-signing-key --enroll
  gitboot disk iso laptop -o laptop.iso --how http://192.0.2.1/install.toml`

type isoFlags struct {
	image   imageFlags
	answers string
	how     string
}

func newISO(s Site) *cobra.Command {
	f := isoFlags{image: imageFlags{file: diskimage.File{Format: diskimage.Raw}}}
	c := &cobra.Command{
		Use: "iso MACHINE|IMAGE -o FILE", Short: "Make a CD or stick that boots a machine's images and installs it, or boots an image", Long: isoLong, Example: isoExamples,
		Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: s.MachinesAndImages,
	}
	c.Flags().StringVarP(&f.image.file.Path, "output", "o", "", "the `FILE` to write")
	c.Flags().StringVar(&f.image.size, "size", "", "how large the disk is at least that is installed, such as 40GB")
	f.image.keys.add(c)
	c.Flags().StringVar(&f.answers, "answers", "", "a `FILE` that says how to install, with nobody asked")
	c.Flags().StringVar(&f.how, "how", "", "what says how to install: ask (default), medium, cloud, or a file's `URL`")
	c.Flags().BoolVar(&f.image.file.Force, "force", false, "replace the file if it is there")
	c.Flags().BoolVar(&f.image.json, "json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, names []string) error { return s.iso(c, names[0], f) }
	return c
}

// order is what the medium is to be, checked before anything is done.
func (f isoFlags) order() (size int64, o diskimage.MediumOrder, err error) {
	if size, err = f.image.check(); err != nil {
		return 0, o, err
	}
	o = diskimage.MediumOrder{File: f.image.file, How: f.how}
	if o.How == "" {
		o.How = deployment.InstallAsk
	}
	if f.answers != "" {
		if f.how != "" && f.how != deployment.InstallMedium {
			return 0, o, usage.Errorf("--answers puts them on the medium, and --how %s looks elsewhere; give one of them", f.how)
		}
		o.How = deployment.InstallMedium
		if o.Answers, err = readAnswers(f.answers); err != nil {
			return 0, o, &usage.Error{Err: err}
		}
	}
	if err := deployment.CheckInstall(o.How); err != nil {
		return 0, o, usage.Errorf("--how %q %v", o.How, err)
	}
	if err := iso.Installed(runtime.GOARCH); err != nil {
		return 0, o, err
	}
	return size, o, nil
}

// readAnswers refuses what would be refused when it is too late to put it right.
func readAnswers(path string) ([]byte, error) {
	data, err := unattended.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := unattended.Parse(data); err != nil {
		return nil, fmt.Errorf("the answers of %s: %w", path, err)
	}
	return data, nil
}

func (s Site) iso(c *cobra.Command, machine string, f isoFlags) error {
	size, order, err := f.order()
	if err != nil {
		return err
	}
	show := screen.New(c.ErrOrStderr())
	began := time.Now()
	made, err := s.medium(c, show, machine, size, order, f.image.keys)
	if err = errors.Join(err, show.Close()); err != nil {
		return unmadeError{order.Path, err}
	}
	info, err := os.Stat(order.Path)
	if err != nil {
		return err
	}
	tellHeld(c, made, order.Path)
	if f.image.json {
		return screen.JSON(c.OutOrStdout(), newMediumJSON(made, order, info.Size()))
	}
	does := "boots and installs"
	if made.Undeclared {
		does = "boots image"
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: a medium of %s that %s %s at revision %s, made in %s\n",
		plain.Visible(order.Path), progress.Bytes(info.Size()), does, made.Machine, plan.Short(made.Revision), time.Since(began).Round(10*time.Millisecond))
	return err
}

// mediumJSON is what disk iso --json prints.
type mediumJSON struct {
	// Machine is "" of an image alone, which then is the one deployment's.
	Machine  string `json:"machine,omitempty"`
	Revision string `json:"revision"`
	File     string `json:"file"`
	// Size is the medium's, in bytes.
	Size int64 `json:"size"`
	// How is what says how the machine is installed, "" where there is none.
	How string `json:"how,omitempty"`
	// Deployments are those that boot, sorted by image.
	Deployments []deploymentJSON `json:"deployments"`
	heldJSON
}

func newMediumJSON(made *diskimage.Plan, order diskimage.MediumOrder, size int64) mediumJSON {
	out := mediumJSON{Revision: made.Revision, File: order.Path, Size: size, Deployments: deploymentsJSON(made.Deployments), heldJSON: held(made)}
	if !made.Undeclared {
		out.Machine, out.How = made.Machine, order.How
	}
	return out
}

func (s Site) medium(c *cobra.Command, show *screen.Display, machine string, size int64, order diskimage.MediumOrder, keys keyFlags) (made *diskimage.Plan, err error) {
	cfg, err := s.Config(c, show, machine)
	if err != nil {
		return nil, err
	}
	cfg.OrImage = order.How == deployment.InstallAsk && size == 0 && !keys.given() // else somebody means a machine to install
	temp, err := diskimage.NewTemp(rehearsal.TempDir())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	made, err = keys.prepare(c.Context(), diskimage.Order{Config: cfg, Temp: temp.Path, Size: func(*layout.Disk) (int64, error) { return size, nil }})
	if err != nil {
		return nil, err
	}
	return made, made.WriteMedium(c.Context(), order, show.Progress())
}
