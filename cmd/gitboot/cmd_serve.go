package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/agent/lan"
	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/agent/mirror"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
)

func newServe(a *app) *cobra.Command {
	var at listen.Options
	var repo bool
	c := &cobra.Command{Use: "serve", Short: "Give other machines what is on this stage, as a registry's mirror", Args: usage.NoArgs,
		Long: `serve answers over HTTP, as a registry that nothing can be pushed to, for what this
machine has staged: what registries say of images (manifests, signatures, descriptions
of what is ready-made), and objects of their layers, kernels and initramfs. Machines that
name it among an image's mirrors and believe those who published its objects
(objects_from, cosign_key) fetch from here what has a digest: one download for a house.

What a tag means they ask of the registry. Where the config repo says
trust_mirror_tags = true, they ask here first: a tag means what it meant when this
machine staged the image, and a machine converges though its registry is gone. An
image's own layers are not here, only what they became.

Layers of hooks, which may hold secrets, and a recovery entry are not given out, nor is
anything of the state. Whoever reaches the address gets an image's manifest and objects,
also of an image whose registry asks for a password.

With --with-repo it gives the config repo, too, to whoever reaches the address: git clones
and fetches it at /repo, as it was fetched here last, and with TLS other machines name that
as their repo, or as one of several. Nothing can be pushed there. Of tags it has the one
that is followed here, and those that this machine waits for to approve.

With peers = "lan" in agent.toml, others of the network that have it, too, find this one
by DNS-SD, and need not name it.

It logs each object that it gives out, to whom, and how much of it, and serves until it
is stopped. The agent does the same with a section [serve] in
agent.toml.`,
		Example: `  gitboot serve --listen 192.168.1.2:8376 --tls-cert cert.pem --tls-key key.pem
  gitboot serve --listen 192.168.1.2:8376 --tls-cert cert.pem --tls-key key.pem --with-repo
  gitboot serve --listen 192.168.1.2:8376 --insecure`}
	c.Flags().StringVar(&at.Address, "listen", "127.0.0.1:8376", "`ADDRESS` to listen on: IP:PORT, or unix:///PATH")
	c.Flags().StringVar(&at.Cert, "tls-cert", "", "certificate `FILE` (PEM)")
	c.Flags().StringVar(&at.Key, "tls-key", "", "its key's `FILE` (PEM)")
	c.Flags().BoolVar(&repo, "with-repo", false, "give the config repo, too, at "+mirror.RepoPath)
	c.Flags().BoolVar(&at.Insecure, "insecure", false, "plain HTTP though others reach the address")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := at.Check(); err != nil {
			return usage.Errorf("--listen: %w", err)
		}
		set, err := a.settings()
		if err != nil {
			return err
		}
		st, err := a.openStage()
		if err != nil {
			return err
		}
		show := screen.New(c.ErrOrStderr())
		log, err := a.logger(c.ErrOrStderr(), show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		l, err := at.Open()
		if err != nil {
			return errors.Join(err, show.Close())
		}
		fmt.Fprintf(c.ErrOrStderr(), "serving %s at %s\n", st.Dir(), l.Addr())
		if set.Announced() {
			defer lan.Beside(c.Context(), l.Addr(), at.Cert != "", log)()
		}
		return errors.Join(listen.Serve(c.Context(), l, mirror.Connections, mirror.New(mirror.Options{Stage: st, Repo: repo, Ref: set.Ref, Log: log})), show.Close())
	}
	return c
}
