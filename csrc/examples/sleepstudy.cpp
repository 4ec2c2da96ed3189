// A host program without Python: Reaction ~ Days + (Days | Subject) by REML on the sleep deprivation study.
//
// Average reaction times (ms) of 18 subjects on days 0 to 9, with the subjects' numbers: Belenky et al. (2003), Journal
// of Sleep Research 12(1), as in Bates et al. (2015), J. Stat. Softw. 67(1), who report the fit that this prints.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <pymixed/fit.hpp>

constexpr int n_subjects = 18, n_days = 10, n = n_subjects * n_days;

constexpr double reaction[n] = {
    249.5600, 258.7047, 250.8006, 321.4398, 356.8519, 414.6901, 382.2038, 290.1486, 430.5853, 466.3535,  // 308
    222.7339, 205.2658, 202.9778, 204.7070, 207.7161, 215.9618, 213.6303, 217.7272, 224.2957, 237.3142,  // 309
    199.0539, 194.3322, 234.3200, 232.8416, 229.3074, 220.4579, 235.4208, 255.7511, 261.0125, 247.5153,  // 310
    321.5426, 300.4002, 283.8565, 285.1330, 285.7973, 297.5855, 280.2396, 318.2613, 305.3495, 354.0487,  // 330
    287.6079, 285.0000, 301.8206, 320.1153, 316.2773, 293.3187, 290.0750, 334.8177, 293.7469, 371.5811,  // 331
    234.8606, 242.8118, 272.9613, 309.7688, 317.4629, 309.9976, 454.1619, 346.8311, 330.3003, 253.8644,  // 332
    283.8424, 289.5550, 276.7693, 299.8097, 297.1710, 338.1665, 332.0265, 348.8399, 333.3600, 362.0428,  // 333
    265.4731, 276.2012, 243.3647, 254.6723, 279.0244, 284.1912, 305.5248, 331.5229, 335.7469, 377.2990,  // 334
    241.6083, 273.9472, 254.4907, 270.8021, 251.4519, 254.6362, 245.4523, 235.3110, 235.7541, 237.2466,  // 335
    312.3666, 313.8058, 291.6112, 346.1222, 365.7324, 391.8385, 404.2601, 416.6923, 455.8643, 458.9167,  // 337
    236.1032, 230.3167, 238.9256, 254.9220, 250.7103, 269.7744, 281.5648, 308.1020, 336.2806, 351.6451,  // 349
    256.2968, 243.4543, 256.2046, 255.5271, 268.9165, 329.7247, 379.4445, 362.9184, 394.4872, 389.0527,  // 350
    250.5265, 300.0576, 269.8939, 280.5891, 271.8274, 304.6336, 287.7466, 266.5955, 321.5418, 347.5655,  // 351
    221.6771, 298.1939, 326.8785, 346.8555, 348.7402, 352.8287, 354.4266, 360.4326, 375.6406, 388.5417,  // 352
    271.9235, 268.4369, 257.2424, 277.6566, 314.8222, 317.2135, 298.1353, 348.1229, 340.2800, 366.5131,  // 369
    225.2640, 234.5235, 238.9008, 240.4730, 267.5373, 344.1937, 281.1481, 347.5855, 365.1630, 372.2288,  // 370
    269.8804, 272.4428, 277.8989, 281.7895, 279.1705, 284.5120, 259.2658, 304.6306, 350.7807, 369.4692,  // 371
    269.4117, 273.4740, 297.5968, 310.6316, 287.1726, 329.6076, 334.4818, 343.2199, 369.1417, 364.1236,  // 372
};

int main() {
    std::vector<double> days(n);
    std::vector<std::int32_t> subject(n);
    for (int i = 0; i < n; ++i) {
        days[i] = i % n_days;
        subject[i] = i / n_days;
    }

    const pymixed::ColumnView one, slope{days.data()};
    pymixed::Rows rows;  // borrowed only while the problem is built
    rows.n = n;
    rows.y = {reaction};
    rows.X = {one, slope};
    rows.Z = {one, slope};
    rows.codes = {subject.data()};

    const pymixed::RandomEffects layout({n_subjects}, {{0, 2}});  // one term of two columns on factor 0
    const pymixed::Problem problem(layout, rows);
    pymixed::Deviance deviance(problem, /*reml=*/true);
    const pymixed::FitResult result = pymixed::fit(deviance, {});
    if (result.status != pymixed::Status::Success) {
        std::printf("no fit: %s\n", pymixed::to_string(result.status));
        return 1;
    }

    const pymixed::Vector beta = deviance.beta();
    std::printf("REML criterion  %.4f\n", result.objective);
    std::printf("(Intercept)     %.3f\n", beta[0]);
    std::printf("Days            %.3f\n", beta[1]);
    std::printf("sigma           %.3f\n", std::sqrt(deviance.sigma2()));
    std::printf("theta           %.4f %.4f %.4f\n", result.parameters[0], result.parameters[1], result.parameters[2]);
    return 0;
}
