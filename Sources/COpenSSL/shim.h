/* What Swift cannot reach in OpenSSL by itself: macros, stacks, and functions whose names differ
 * between its versions. Every function is a thin inline wrapper. */
#ifndef SONDE_COPENSSL_SHIM_H
#define SONDE_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "Sonde's TLS needs OpenSSL 3.0 or later (Debian 12: apt-get install libssl-dev)"
#endif

static inline int sonde_tls_set_versions(SSL_CTX *context, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(context, lowest) == 1
        && SSL_CTX_set_max_proto_version(context, highest) == 1;
}

/* A session gives its buffers back while it has nothing in them, and a write may be taken in part
 * and repeated from another address. */
static inline void sonde_tls_set_mode(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
                                  | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* Renegotiation is a way to make a server work, and no longer part of TLS 1.3; compression gives
 * secrets away (RFC 7457 §2.6). */
static inline void sonde_tls_set_rules(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                                     | SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static inline void sonde_tls_tickets_off(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
}

static inline const char *sonde_tls_cipher(SSL *session) { return SSL_get_cipher_name(session); }

static inline void sonde_tls_cache_off(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

/* New sessions of clients go to the callback, and nowhere else. */
static inline void sonde_tls_cache_client(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(
        context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

static inline int sonde_tls_set_server_name(SSL *session, const char *name) {
    return (int)SSL_set_tlsext_host_name(session, name);
}

/* Whatever name is asked for is served, and a session remembers it: without this OpenSSL does not
 * say it for one of TLS 1.2 that is resumed. */
static inline int sonde_tls_any_name(SSL *session, int *alert, void *nothing) {
    (void)session, (void)alert, (void)nothing;
    return SSL_TLSEXT_ERR_OK;
}

static inline void sonde_tls_accept_names(SSL_CTX *context) {
    SSL_CTX_set_tlsext_servername_callback(context, sonde_tls_any_name);
}

/* Tickets that the older context gave out are good for the newer one. */
static inline int sonde_tls_copy_ticket_keys(SSL_CTX *older, SSL_CTX *newer) {
    unsigned char keys[80];
    int result = SSL_CTX_get_tlsext_ticket_keys(older, keys, sizeof keys) == 1
              && SSL_CTX_set_tlsext_ticket_keys(newer, keys, sizeof keys) == 1;
    OPENSSL_cleanse(keys, sizeof keys);
    return result;
}

static inline void sonde_tls_retry_read(BIO *bio) {
    BIO_clear_retry_flags(bio);
    BIO_set_retry_read(bio);
}

static inline void sonde_tls_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }

static inline X509 *sonde_tls_peer_certificate(SSL *session) {
    return SSL_get1_peer_certificate(session);
}

/* Appends to a text of `size` bytes that stays terminated; what does not fit is cut off. */
static inline void sonde_append_text(char *text, size_t size, const char *more, size_t length) {
    size_t used = strlen(text);
    if (used + 1 >= size) return;
    if (length > size - used - 1) length = size - used - 1;
    memcpy(text + used, more, length);
    text[used + length] = 0;
}

/* The names and addresses that a certificate is for, separated by commas: the alternative names,
 * or, where it has none, the common name of its subject. */
static inline void sonde_tls_certificate_names(X509 *certificate, char *text, size_t size) {
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0, i;
    text[0] = 0;
    for (i = 0; i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            if (text[0]) sonde_append_text(text, size, ", ", 2);
            sonde_append_text(text, size, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                              (size_t)ASN1_STRING_length(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            char *address = NULL;
            ASN1_OCTET_STRING *bytes = name->d.iPAddress;
            BIO *memory = BIO_new(BIO_s_mem());
            long length;
            if (!memory) break;
            if (bytes->length == 4)
                BIO_printf(memory, "%d.%d.%d.%d", bytes->data[0], bytes->data[1], bytes->data[2],
                           bytes->data[3]);
            else
                for (int k = 0; k + 1 < bytes->length; k += 2)
                    BIO_printf(memory, k ? ":%x" : "%x", bytes->data[k] << 8 | bytes->data[k + 1]);
            length = BIO_get_mem_data(memory, &address);
            if (text[0]) sonde_append_text(text, size, ", ", 2);
            sonde_append_text(text, size, address, (size_t)length);
            BIO_free(memory);
        }
    }
    GENERAL_NAMES_free(names);
    if (!text[0]) {
        char common[256];
        int length = X509_NAME_get_text_by_NID(
            X509_get_subject_name(certificate), NID_commonName, common, sizeof common);
        if (length > 0) sonde_append_text(text, size, common, strlen(common));
    }
    /* It is printed: a certificate may hold anything. */
    for (char *next = text; *next; next++)
        if ((unsigned char)*next < 0x20 || (unsigned char)*next > 0x7e) *next = '?';
}

/* The issuer's name on one line, as OpenSSL's own tools write it. */
static inline void sonde_tls_certificate_issuer(X509 *certificate, char *text, size_t size) {
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long length;
    text[0] = 0;
    if (!memory) return;
    X509_NAME_print_ex(memory, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
    length = BIO_get_mem_data(memory, &bytes);
    if (length > 0) sonde_append_text(text, size, bytes, (size_t)length);
    BIO_free(memory);
}

/* When a certificate begins (0) or ends (1) to be valid: the fields of a UTC calendar. */
static inline int sonde_tls_certificate_date(X509 *certificate, int end, int fields[6]) {
    struct tm moment;
    const ASN1_TIME *time = end ? X509_get0_notAfter(certificate)
                                : X509_get0_notBefore(certificate);
    if (!ASN1_TIME_to_tm(time, &moment)) return 0;
    fields[0] = moment.tm_year + 1900;
    fields[1] = moment.tm_mon + 1;
    fields[2] = moment.tm_mday;
    fields[3] = moment.tm_hour;
    fields[4] = moment.tm_min;
    fields[5] = moment.tm_sec;
    return 1;
}

/* ERR_clear_error walks through a queue that is nearly always empty. */
static inline void sonde_tls_forget_errors(void) {
    if (ERR_peek_error()) ERR_clear_error();
}

/* The newest entry of this thread's queue of errors, which is emptied; zero where there is none. */
static inline unsigned long sonde_tls_take_error(void) {
    unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    return code;
}

/* The oldest entry, which is the cause, in words; the queue is emptied. */
static inline const char *sonde_tls_take_cause(void) {
    unsigned long code = ERR_get_error();
    const char *text = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
                                              : ERR_reason_error_string(code);
    ERR_clear_error();
    return text ? text : "cannot be used";
}

/* Whether a key was refused because it is another certificate's. */
static inline int sonde_tls_is_key_mismatch(void) {
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_X509
        && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH;
}

static inline int sonde_tls_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

static inline int sonde_tls_error_is_ssl(unsigned long code) {
    return ERR_GET_LIB(code) == ERR_LIB_SSL;
}

#endif
