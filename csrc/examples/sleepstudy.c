/* A host program in C: Reaction ~ Days + (Days | Subject) by REML on the sleep deprivation study. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <pymixed.h>

#include "sleepstudy.h"

/* Every call may fail; what went wrong is in pymixed_last_error(). */
static void expect(int32_t code) {
    if (code != PYMIXED_OK) {
        fprintf(stderr, "%s\n", pymixed_last_error());
        exit(1);
    }
}

int main(void) {
    double days[n_rows];
    int32_t subject[n_rows];
    for (int i = 0; i < n_rows; ++i) {
        days[i] = i % n_days;
        subject[i] = i / n_days;
    }
    pymixed_data* data; /* borrows the arrays */
    expect(pymixed_data_new(n_rows, &data));
    expect(pymixed_data_set_response(data, reaction, n_rows));
    expect(pymixed_data_add_fixed(data, NULL, n_rows)); /* the constant 1 */
    expect(pymixed_data_add_fixed(data, days, n_rows));
    expect(pymixed_data_add_factor(data, subject, n_rows, n_subjects));
    expect(pymixed_data_add_term(data, 0, PYMIXED_UNSTRUCTURED)); /* on factor 0, of two columns */
    expect(pymixed_data_add_term_columns(data, NULL, n_rows));
    expect(pymixed_data_add_term_columns(data, days, n_rows));

    pymixed_fit* fit;
    expect(pymixed_fit_from_data(data, NULL, &fit)); /* with the default options */
    pymixed_data_free(data);

    double status, objective, sigma, beta[2], covariance[4], between[4];
    expect(pymixed_fit_get(fit, PYMIXED_STATUS, 0, &status, 1));
    if (status != PYMIXED_SUCCESS) {
        printf("no fit: %s\n", pymixed_status_message((int32_t)status));
        return 1;
    }
    expect(pymixed_fit_get(fit, PYMIXED_OBJECTIVE, 0, &objective, 1));
    expect(pymixed_fit_get(fit, PYMIXED_COEFFICIENTS, 0, beta, 2));
    expect(pymixed_fit_get(fit, PYMIXED_COVARIANCE, 0, covariance, 4));
    expect(pymixed_fit_get(fit, PYMIXED_TERM_COVARIANCE, 0, between, 4));
    expect(pymixed_fit_get(fit, PYMIXED_SIGMA, 0, &sigma, 1));
    pymixed_fit_free(fit);

    const char* names[] = {"(Intercept)", "Days"};
    printf("REML criterion  %.4f\n", objective);
    for (int j = 0; j < 2; ++j)
        printf("%-15s %.3f  (standard error %.3f)\n", names[j], beta[j], sqrt(covariance[3 * j]));
    printf("sd(Subject)     %.3f  %.3f, correlation %.3f\n", sqrt(between[0]), sqrt(between[3]),
           between[1] / sqrt(between[0] * between[3]));
    printf("sigma           %.3f\n", sigma);
    return 0;
}
