// Package image resolves image references, reads images from registries and
// archives, hands out their layers as streams of uncompressed tar, and pushes
// images of such layers to registries.
//
// # From a registry
//
//	r, err := image.Resolve(ctx, "ghcr.io/example/router:stable", opts)
//	img, err := image.Open(ctx, "ghcr.io/example/router:stable", r.Digest, opts)
//	rc, err := img.Layers[0].Open(ctx)
//
// Resolve asks what digest a tag has now and fetches nothing else; in place of
// a tag there may be a constraint (:~12), for which tags are listed. Open
// fetches the manifest of the wanted platform and its configuration; both are
// checked against their digests. Layer.Open streams a blob and decompresses it
// on the way (plain tar, gzip, zstd; eStargz and zstd:chunked are read as
// plain gzip and zstd). Digest and size are checked while reading: where they
// do not match, Read returns a *DigestError and never io.EOF. What was read
// before that is unverified, so nothing may be published before io.EOF.
//
// # Faults
//
// Mirrors are asked in order, then the registry itself, for manifests and
// blobs; what a tag means only the registry says, unless
// Options.TrustMirrorTags has the mirrors say it too. When all of them fail for a passing reason (connection,
// silence, 408, 429, 5xx) they are asked again after a pause that doubles; a
// 429's Retry-After is honoured. A blob that is cut is resumed where it
// stopped, by a Range request, if need be from another source. 401, 403, 404
// and a name that does not resolve end the trying of that source at once. A
// refused HEAD is followed by one GET, which may serve, and says why if not.
// Why has each kind of failure in a few words. See Timing.
//
// # Credentials
//
// The file in Options.CredentialsFile alone, or else the first of these that
// has an entry for the repository or its registry:
//
//	$REGISTRY_AUTH_FILE
//	$XDG_RUNTIME_DIR/containers/auth.json (root without it: /run/containers/0/auth.json)
//	$XDG_CONFIG_HOME/containers/auth.json (default ~/.config)
//	$DOCKER_CONFIG/config.json (default ~/.docker)
//
// Resolved.Credentials and every refusal say which file was used, or why none
// was. Credential helpers (credHelpers, credsStore) are run.
//
// A registry may name another host as the one that gives tokens. Credentials
// are sent there only if it is in Options.TokenServers, or known as that of
// Docker's or GitLab's registry; without credentials, any may give one.
//
// # Signatures
//
// Verify finds out whether cosign signed a manifest or index with one of some
// keys, in its older form (the tag sha256-….sig) or in the newer one (a sigstore
// bundle that refers to the image). See package cosign.
//
// # Transport
//
// HTTPS with verified certificates, for local and private addresses too.
// Options.Insecure allows plain HTTP and any certificate. An authority of
// one's own goes into the system's trust store (or $SSL_CERT_FILE).
// Options.Connections may name a proxy; without one $HTTPS_PROXY and $NO_PROXY are
// honoured. Who shares them uses connections again that are idle.
//
// # From an archive
//
// OpenArchive reads a tar of a root file system (plain, gzip, zstd, xz), an
// OCI layout (a folder or a tar, also compressed) or what docker save and
// podman save write. What a file is is told by its content. Files are read in
// place, nothing is unpacked; a URL is downloaded once into Options.CacheDir.
// ArchivePlace.Strip takes folders off the names in a root file system's tar:
// the layer is then that other tar, with a digest of its own.
//
// # To a registry
//
// Push compresses each layer on its way out, with nothing stored in between.
// Layers that became a blob before (Blob) are not compressed again, and not sent
// where the registry has them or takes them over from another repository. The
// manifest comes last, so that a cut push publishes nothing. What comes out
// depends on the layers, the configuration and the known blobs alone.
//
// # Not done here
//
// Certificates of Fulcio's and entries of a transparency log are not looked at in
// signatures: only keys count. Encrypted layers, bzip2 and docker's
// schema 1 are refused by name, and foreign layers are fetched from nowhere but
// the registry.
package image
