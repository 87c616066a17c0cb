package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/secret"
)

// longPartBytes is the length from which a part of a secret, such as one value
// of a query, is taken for a token of its own: starring every "true" or "10" would
// make errors unreadable. The secret as a whole is one whatever its length.
const longPartBytes = 8

// Secrets returns every secret of c that is not empty, each once, for
// secret.Redact; and the parts of headers and URLs that look like tokens, since an
// error may quote only those.
func (c *Config) Secrets() []secret.String {
	list := []secret.String{c.PushbearSendKey}
	for _, service := range c.Notify.URLs {
		list = append(list, service)
		list = append(list, urlSecrets(service.Reveal(), true)...)
	}
	for i := range c.Jobs {
		job := &c.Jobs[i]
		list = append(list, job.Src.Password)
		for k := range job.Des {
			list = append(list, job.Des[k].Password)
			list = append(list, job.Des[k].CallbackNotification.secrets()...)
		}
	}
	seen := map[secret.String]bool{{}: true}
	return slices.DeleteFunc(list, func(s secret.String) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
}

func (n *CallbackNotification) secrets() []secret.String {
	list := urlSecrets(n.URL, false)
	for _, value := range n.Headers {
		list = append(list, value)
		list = append(list, long(strings.Fields(value.Reveal()))...) // the token of "Bearer TOKEN"
	}
	for _, s := range n.Secret {
		list = append(list, s, secret.New(strings.TrimPrefix(s.Reveal(), "whsec_")))
	}
	return list
}

// urlSecrets returns the login, query and fragment of a URL, and the parts of its
// path if the path is secret too.
func urlSecrets(text string, path bool) []secret.String {
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	list := []secret.String{secret.New(u.RawQuery), secret.New(u.Fragment)}
	for _, values := range u.Query() {
		list = append(list, long(values)...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		list = append(list, secret.New(u.User.String()), secret.New(password))
		list = append(list, long([]string{u.User.Username()})...)
	}
	if path {
		list = append(list, long(strings.Split(u.Path, "/"))...)
	}
	return list
}

// long returns the texts that are long enough for a token.
func long(texts []string) []secret.String {
	var list []secret.String
	for _, text := range texts {
		if len(text) >= longPartBytes {
			list = append(list, secret.New(text))
		}
	}
	return list
}
