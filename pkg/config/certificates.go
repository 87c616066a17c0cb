package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"

	"github.com/masixun71/cupid/pkg/dsn"
)

// MaxCABytes is the longest file of certificates. That of a Linux system has 220 KB.
const MaxCABytes = 1 << 20

// databaseCA checks what a caFile says of a database.
func (d *decoder) databaseCA(path, file string, address dsn.DSN) {
	at := join(path, "caFile")
	if file == "" || !d.ok(at) || !d.ok(join(path, "dsn")) {
		return
	}
	switch {
	case address.Net == "unix":
		d.fault(at, "the dsn names a socket, which is not encrypted", "name host and port in dsn, or remove it")
	case address.Params["tls"] != "":
		d.fault(at, "the dsn has a tls of its own", "remove one of the two")
	}
}

// ReadFiles puts the content of each caFile in the place of its path, since a worker
// gets all it needs to know by the wire form and reads no file. The error is Faults.
func (c *Config) ReadFiles(read func(path string) ([]byte, error)) error {
	var faults Faults
	take := func(where string, file *string) {
		if *file == "" {
			return
		}
		text, err := read(*file)
		if problem := certificates(text, err); problem != "" {
			faults = append(faults, Fault{File: *file, Problem: problem, Hint: "caFile of " + where + " names it"})
			return
		}
		*file = string(text)
	}
	for i := range c.Jobs {
		job := &c.Jobs[i]
		take("the source "+job.Src.Table, &job.Src.CAFile)
		for k := range job.Des {
			des := &job.Des[k]
			take("the destination "+des.Table, &des.CAFile)
			take("its callbackNotification", &des.CallbackNotification.CAFile)
		}
	}
	if faults != nil {
		return faults
	}
	if data, err := c.EncodeWire(); err != nil || len(data) > MaxWireBytes {
		return Faults{{Problem: fmt.Sprintf("configuration is longer than %d bytes with the files that caFile names", MaxWireBytes), Hint: "put only the certificates that are needed into them"}}
	}
	return nil
}

// certificates says what is wrong with a file of certificates.
func certificates(text []byte, err error) string {
	reason, named := errors.AsType[*fs.PathError](err)
	switch {
	case named:
		return "cannot be read: " + reason.Err.Error()
	case err != nil:
		return "cannot be read: " + err.Error()
	case len(text) > MaxCABytes:
		return fmt.Sprintf("longer than %d bytes", MaxCABytes)
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		return "holds no certificate in PEM form"
	}
	return ""
}
