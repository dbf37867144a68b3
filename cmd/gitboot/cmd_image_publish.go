package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/readymade"
)

// A publicationJSON is what image publish has done.
type publicationJSON struct {
	Digest string `json:"digest"`
	Layers int    `json:"layers"`
	Made   int    `json:"made"`
	// Patches is how many patches there are among them.
	Patches int    `json:"patches,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	Bytes   int64  `json:"bytes"`
	Sent    int64  `json:"sent"`
	Signed  bool   `json:"signed"`
}

func newImagePublish(a *app) *cobra.Command {
	var p readymade.Publisher
	var opts image.Options
	var key string
	c := &cobra.Command{Use: "publish REF", Short: "Publish what an image's layers become, so that machines need not make it", Args: usage.Args(cobra.ExactArgs(1)),
		Long: `publish makes of each layer of an image what a machine would make of it to boot it, a
squashfs object, and puts these beside the image in its registry, together with the
image's kernel and an initramfs for it, and with a list of each object's blocks, so that
who has an older one fetches no more than what differs. Machines that believe it fetch
them, and neither unpack nor pack anything; one that would make another initramfs,
because it has another gitboot or needs more in it, makes that itself. The image itself
stays as it is, whoever made it and whatever else pulls it. What the stage of this
machine has already is taken from there.

It is believed if it is signed: by a key of the image's cosign_key, or by that of a
machine which objects_from names. With --key it is signed here, by a key that nothing
protects; without, sign the digest that is printed as any image:

  cosign sign --key cosign.key REGISTRY/REPOSITORY@DIGEST

Who follows closely needs less still: --patch-from names an image that machines may have,
and what is published then makes most of the new blocks out of that image's objects. It
takes a minute or two for each GB that has changed.

Images that are built here and pushed are published so by themselves where agent.toml
has objects_key_file; deltas of an image says how many patches are made of it.`,
		Example: `  gitboot image publish ghcr.io/example/router:stable --key /etc/gitboot/objects.key
  gitboot image publish ghcr.io/example/router:stable --patch-from ghcr.io/example/router:1.4
  gitboot image publish registry.lan/desktop:nightly --json`}
	c.Flags().StringVar(&key, "key", "", "sign with the private key in `FILE` (default: objects_key_file of agent.toml)")
	c.Flags().BoolVar(&opts.Insecure, "insecure", false, "allow plain HTTP and unverified certificates")
	c.Flags().StringVar(&opts.CredentialsFile, "credentials-file", "", "a docker or podman auth.json `FILE`")
	c.Flags().StringVar(&opts.Platform, "platform", "", "os/architecture[/variant] of an image that is for several (default: this machine's)")
	c.Flags().StringVar(&p.Scratch, "scratch", "/var/tmp", "folder with room for the objects")
	c.Flags().StringArrayVar(&p.Earlier, "patch-from", nil, "publish a patch from image `REF`, too, which was published with the same key; may be given several times")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, refs []string) (err error) {
		set, err := a.settings()
		if err != nil {
			return err
		}
		if key == "" {
			key = set.ObjectsKeyFile
		}
		if p.Key, err = readymade.ReadKey(key); err != nil {
			return err
		}
		show := screen.New(c.ErrOrStderr())
		cfg, err := configOf(a, c, show, settings.Settings.Publishing)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		r, done, err := reconciler.Preview(cfg)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		p.Options, p.Stage, p.Log, p.Progress = r.Machine.Find.Options, r.Machine.Stage, cfg.Log, cfg.Progress
		p.Options.Insecure, p.Options.Platform = opts.Insecure, opts.Platform
		p.Init = r.Machine.Init
		p.Options.CredentialsFile = cmp.Or(opts.CredentialsFile, p.Options.CredentialsFile)
		out, err := p.PublishRef(c.Context(), refs[0])
		if err = errors.Join(err, done(), show.Close()); err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), publicationJSON{out.Digest, out.Layers, out.Made, out.Patches, out.Kernel, out.Bytes, out.Sent, out.Signed})
		}
		return printPublished(c, refs[0], out)
	}
	return c
}

func printPublished(c *cobra.Command, ref string, out readymade.Published) error {
	w := c.OutOrStdout()
	what := fmt.Sprintf("%d objects", out.Layers)
	if out.Patches > 0 {
		what += fmt.Sprintf(", %d patches", out.Patches)
	}
	if out.Kernel != "" {
		what += " and kernel " + out.Kernel + " with its initramfs"
	}
	what += ", " + progress.Bytes(out.Bytes)
	if out.There {
		_, err := fmt.Fprintf(w, "%s is published already: %s\n", what, out.Digest)
		return err
	}
	fmt.Fprintf(w, "published %s, of which %s were sent: %s\n", what, progress.Bytes(out.Sent), out.Digest)
	if pinned, err := image.Pinned(ref, out.Digest); err == nil && !out.Signed {
		fmt.Fprintf(w, "it is not signed; machines that verify it want: cosign sign --key KEY %s\n", pinned)
	}
	return nil
}
